/**
 * Where the log goes. The process outlives its reader: lines that cannot be
 * written are dropped and counted, and each later line is tried again, because
 * a full disk gets room and a named pipe gets another reader. Of a reader that
 * stalls, the process stores a bounded part.
 */
import { Console } from "node:console";
import { type Readable, Writable } from "node:stream";
import { wholeLines } from "./WholeLines.ts";

/** Characters that wait for a reader at most: 4 million. */
const unreadMax = 4 * 1024 * 1024;

const newline = /\n/g;

const linesIn = (text: string) => text.match(newline)?.length ?? 0;

/** A file, a pipe or a terminal. */
type Output = Writable &
  Partial<Pick<NodeJS.WriteStream, "hasColors" | "isTTY">>;

/** @param stderr gets why a start failed, and warnings of the runtime */
export const make = (stdout: Output, stderr: Output) => {
  let dropped = 0;
  let hasFailed = false;
  // An error without a listener ends the process.
  for (const stream of [stdout, stderr]) stream.on("error", () => {});

  const write = (
    stream: Writable,
    text: string,
    onEnd: (error?: NodeJS.ErrnoException | null) => void = () => {},
  ) =>
    stream.write(text, (error) => {
      const isLost = error !== null && error !== undefined;
      if (isLost) dropped += linesIn(text);
      if (stream === stdout) hasFailed = isLost;
      onEnd(error);
    });

  const bounded = (stream: Writable) =>
    new Writable({
      decodeStrings: false,
      write(text: string, _encoding, done) {
        const unread = stream.writableLength;
        // One that is larger by itself is written when nothing else waits.
        if (unread > 0 && unread + text.length > unreadMax) {
          dropped += linesIn(text);
        } else write(stream, text);
        done();
      },
    });

  return {
    /** For Effect's loggers. */
    console: new Console({
      stdout: bounded(stdout),
      stderr: bounded(stderr),
      colorMode: stdout.isTTY === true && stdout.hasColors?.() === true,
    }),

    /** Lines dropped since the start. */
    dropped: () => dropped,

    /** Whether a line would be read now, as far as this process knows. */
    isRead: () => !hasFailed && stdout.writableLength < unreadMax / 2,

    /**
     * Passes on what another process logs, line by line. While the reader
     * stalls, that process is not read: its own limit drops lines then. When
     * the reader is gone, its pipe is closed, so that it counts them, too.
     */
    passOn: (source: Readable): void => {
      source.pipe(wholeLines()).pipe(
        new Writable({
          write(lines: Buffer, _encoding, done) {
            write(stdout, lines.toString(), (error) => {
              if (error?.code === "EPIPE") source.destroy();
              done();
            });
          },
        }),
      );
    },
  };
};

/** The log of this process. */
export const logOutput = make(process.stdout, process.stderr);
