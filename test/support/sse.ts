/** Server-sent events, as text: what a browser would make of it. */

export interface Frame {
  readonly id?: string;
  readonly event?: string;
  readonly data?: string;
  readonly retry?: string;
}

/** The frames that have come whole; what follows the last blank line is left. */
export const framesOf = (text: string): ReadonlyArray<Frame> =>
  text
    .split("\n\n")
    .slice(0, -1)
    .map((frame) =>
      Object.fromEntries(
        frame.split("\n").map((line) => {
          const [, name = line, value = ""] = /^(\w+): (.*)$/.exec(line) ?? [];
          return [name, value];
        }),
      ),
    );

export const isStream = (type: string | undefined | null): boolean =>
  type === "text/event-stream";
