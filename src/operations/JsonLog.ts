/**
 * Logs as lines of JSON, flat: `{"time":...,"level":...,"message":...}` and the
 * fields of what was logged beside them. Written by hand because every request
 * writes one and every order two: Effect's own formatter takes five times as
 * long (4.6 against 0.9 microseconds a line), and so did objects spread into
 * one another here.
 */
import { Cause, Console, Effect, Logger, References } from "effect";

/** Fields of our own that what is logged must not hide. */
const reserved = new Set(["time", "level", "message", "instance", "cause"]);

const putAll = (fields: Record<string, unknown>, given: object) => {
  const from = given as Record<string, unknown>;
  for (const name of Object.keys(from)) {
    fields[reserved.has(name) ? `${name}_` : name] = from[name];
  }
};

const format = (instance: string) => {
  const instanceField = `,"instance":${JSON.stringify(instance)}`;
  /** The second written last: most lines have it in common. */
  const second = { number: Number.NaN, text: "" };

  /** As ISO 8601 in UTC. */
  const timeOf = (date: Date): string => {
    const millis = date.getTime();
    const number = Math.floor(millis / 1000);
    if (number !== second.number) {
      second.number = number;
      second.text = date.toISOString().slice(0, -4);
    }
    return `${second.text}${String(millis - number * 1000).padStart(3, "0")}Z`;
  };

  return Logger.make<unknown, string>(
    ({ cause, date, fiber, logLevel, message }) => {
      let words = "";
      const fields: Record<string, unknown> = {};
      let causes = cause;
      for (const part of Array.isArray(message) ? message : [message]) {
        if (Cause.isCause(part)) causes = Cause.combine(causes, part);
        else if (typeof part === "object" && part !== null) {
          if (part instanceof Error) words += ` ${part.stack ?? part}`;
          else putAll(fields, part);
        } else words += ` ${String(part)}`;
      }
      putAll(fields, fiber.getRef(References.CurrentLogAnnotations));
      if (causes.reasons.length > 0) fields.cause = Cause.pretty(causes);
      const head = `{"time":"${timeOf(date)}","level":"${logLevel.toUpperCase()}","message":${JSON.stringify(words.slice(1))}${instanceField}`;
      try {
        const tail = JSON.stringify(fields);
        return tail === "{}" ? `${head}}` : `${head},${tail.slice(1)}`;
      } catch {
        // Something that cannot be written; its cause can.
        return `${head}${"cause" in fields ? `,"cause":${JSON.stringify(fields.cause)}` : ""}}`;
      }
    },
  );
};

/**
 * Lines are written together, a tenth of a second late at most.
 *
 * @param instance who writes them, among those whose logs may end up together
 */
export const logger = (instance: string) =>
  Logger.batched(format(instance), {
    window: "100 millis",
    flush: (lines) =>
      Effect.flatMap(Console.Console, (console) =>
        Effect.sync(() => console.log(lines.join("\n"))),
      ),
  });
