// Loaded before a program (`node --import`): its wall clock is CLOCK_SHIFT_MS ahead of the machine's.
const shiftMs = Number(process.env.CLOCK_SHIFT_MS)
const MachineDate = Date

globalThis.Date = class extends MachineDate {
  constructor(...given) {
    if (given.length === 0) super(MachineDate.now() + shiftMs)
    else super(...given)
  }

  static now() {
    return MachineDate.now() + shiftMs
  }
}
