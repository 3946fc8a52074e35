/**
 * Preloaded into the service (`node --import`): its wall clock is off. Each
 * SIGUSR2 sets it to the next of these; time that only passes
 * (`performance.now`, timers) stays right, as it does when a machine's clock
 * is set.
 */
const offsetsMillis = [30_000, -30_000, 0];

let offset = 0;
process.on("SIGUSR2", () => {
  offset = offsetsMillis.shift() ?? 0;
});

const RightDate = Date;
const now = () => RightDate.now() + offset;

globalThis.Date = new Proxy(RightDate, {
  construct: (_, args: ReadonlyArray<unknown>) =>
    args.length === 0
      ? new RightDate(now())
      : Reflect.construct(RightDate, args),
  apply: () => new RightDate(now()).toString(),
  get: (target, name) =>
    name === "now" ? now : Reflect.get(target, name, target),
});
