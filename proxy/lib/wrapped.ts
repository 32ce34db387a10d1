/** Narrow enough for half a screen. */
const WIDTH = 96

/** Text in lines of at most 96 columns; `first` begins the first one, `indent` the others. */
export function wrapped(text: string, indent: string, first = indent): string[] {
  const lines: string[] = []
  let line = first
  let isEmpty = true
  for (const word of text.split(' ')) {
    if (!isEmpty && line.length + 1 + word.length > WIDTH) {
      lines.push(line)
      line = indent + word
    } else {
      line += isEmpty ? word : ` ${word}`
    }
    isEmpty = false
  }
  return [...lines, line]
}
