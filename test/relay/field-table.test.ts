import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { FieldTable } from '../../proxy/relay/field-table.ts'

const COLOUR = 1
const SHAPE = 2
const LOOK_ALIKE = 3

type Kind = 1 | 2 | 3

describe('the table of field names', () => {
  const table = new FieldTable<Kind>(
    [
      ['x-colour', COLOUR],
      ['x-format', SHAPE],
    ],
    ['x-secret'],
    LOOK_ALIKE,
  )
  const kindOf = (name: string) => table.kindOf(`GET / HTTP/1.1\r\n${name}: 1\r\n\r\n`, 16, name.length)

  it('tells names of one length and first letter apart, whichever came before', () => {
    const names = [
      'x-colour',
      'x-format',
      'x-colour',
      'x-colour',
      'x-secret',
      'x-colour',
      'x-nobody',
      'x-colour',
    ]
    assert.deepEqual(names.map(kindOf), [COLOUR, SHAPE, COLOUR, COLOUR, LOOK_ALIKE, COLOUR, 0, COLOUR])
  })

  it('knows a name in any case, and a disguised one', () => {
    assert.deepEqual(['X-Colour', 'X-COLOUR', 'x-colour', 'x_colour', 'X.Colour', 'x-colour'].map(kindOf), [
      COLOUR,
      COLOUR,
      COLOUR,
      LOOK_ALIKE,
      LOOK_ALIKE,
      COLOUR,
    ])
  })

  it('finds each of a thousand', () => {
    const names = Array.from({ length: 1000 }, (_, index) => {
      const letter = String.fromCharCode(0x61 + (index % 20))
      return letter.repeat(1 + Math.floor(index / 20))
    })
    const large = new FieldTable<Kind>([], names, LOOK_ALIKE)
    assert.deepEqual(
      names.filter((name) => large.kindOf(name, 0, name.length) !== LOOK_ALIKE),
      [],
    )
    assert.equal(large.kindOf('zzz', 0, 3), 0)
  })
})
