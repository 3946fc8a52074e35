/** Tells how far something is: one line on a terminal, else one now and then. */

/** How seldom a line is written: on a terminal, and where nobody watches. */
const terminalMillis = 100;
const quietMillis = 5_000;

export interface Progress {
  readonly tell: (line: string) => void;
  /** Leaves the last line of a terminal behind. */
  readonly end: () => void;
}

export const make = (stream: NodeJS.WriteStream = process.stderr): Progress => {
  const everyMillis = stream.isTTY ? terminalMillis : quietMillis;
  let written = performance.now();
  let latest: string | undefined;
  const rewrite = (line: string) =>
    stream.write(`\r\u001b[2K${line.slice(0, (stream.columns || 80) - 1)}`);
  return {
    tell: (line) => {
      latest = line;
      if (performance.now() - written < everyMillis) return;
      written = performance.now();
      if (stream.isTTY) rewrite(line);
      else stream.write(`${line}\n`);
    },
    end: () => {
      if (stream.isTTY && latest !== undefined) {
        rewrite(latest);
        stream.write("\n");
      }
      latest = undefined;
    },
  };
};
