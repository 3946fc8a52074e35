/**
 * Passes on what it gets line by line, never a part of one. Processes that
 * write to one pipe themselves cut into each other's lines when its reader is
 * slow; so one process writes for all of them, through one of these for each.
 */
import { Transform } from "node:stream";

const newline = "\n".charCodeAt(0);

export const wholeLines = (): Transform => {
  let begun: Array<Buffer> = [];
  return new Transform({
    transform(chunk: Buffer, _encoding, done) {
      const end = chunk.lastIndexOf(newline) + 1;
      if (end === 0) {
        begun.push(chunk);
        return done();
      }
      const whole = Buffer.concat([...begun, chunk.subarray(0, end)]);
      begun = end === chunk.length ? [] : [chunk.subarray(end)];
      done(null, whole);
    },
    // Of one that was killed: its last line is no line yet.
    flush(done) {
      done(
        null,
        begun.length > 0 ? Buffer.concat([...begun, Buffer.from("\n")]) : null,
      );
    },
  });
};
