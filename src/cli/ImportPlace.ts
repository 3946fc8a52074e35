/**
 * How far an import has come, kept beside its file: an import that is run again
 * goes on there. The place only moves over what the service has answered, so
 * the worst that can be lost with it is time: what is placed again is a replay.
 */
import { Effect, Schema, Stream } from "effect";
import { Machine } from "./Machine.ts";

const Count = Schema.Int.check(Schema.isGreaterThanOrEqualTo(0));

const Place = Schema.Struct({
  /** Of what is written here. */
  version: Schema.Literal(1),
  /** The service that has answered. */
  url: Schema.String,
  file: Schema.Struct({
    size: Count,
    modified: Schema.Finite,
    /** SHA-256 of its first bytes. */
    head: Schema.String,
  }),
  offset: Count,
  line: Count,
  placed: Count,
  replayed: Count,
  rejected: Count,
  /** Bytes of the file of rejected rows, up to here. */
  rejected_bytes: Count,
});
export interface Place extends Schema.Schema.Type<typeof Place> {}

export type FileMark = Place["file"];

const headBytes = 64 * 1024;

/** What tells a file from another, or from itself before it was changed. */
export const markOf = Effect.fnUntraced(function* (path: string) {
  const machine = yield* Machine;
  const state = yield* machine.look(path);
  if (state === undefined) return undefined;
  const head = yield* machine
    .read(path, { length: Math.min(headBytes, state.size) })
    .pipe(
      Stream.runFold(
        () => new Uint8Array(0),
        (all, chunk) => {
          const next = new Uint8Array(all.length + chunk.length);
          next.set(all);
          next.set(chunk, all.length);
          return next;
        },
      ),
    );
  const digest = yield* Effect.promise(() =>
    crypto.subtle.digest("SHA-256", head),
  );
  const mark: FileMark = {
    size: state.size,
    modified: state.modified,
    head: Array.from(new Uint8Array(digest), (byte) =>
      byte.toString(16).padStart(2, "0"),
    ).join(""),
  };
  return { mark, head };
});

export const placePath = (path: string) => `${path}.progress`;

const readPlace = Schema.decodeUnknownEffect(Schema.fromJsonString(Place));

/** The place that was kept, if it is of this very file and service. */
export const keptPlace = Effect.fnUntraced(function* (
  path: string,
  mark: FileMark,
  url: string,
) {
  const machine = yield* Machine;
  const kept = yield* machine.look(placePath(path));
  if (kept === undefined) return undefined;
  const place = yield* machine
    .read(placePath(path))
    .pipe(
      Stream.decodeText,
      Stream.mkString,
      Effect.flatMap(readPlace),
      Effect.option,
    );
  if (place._tag === "None") return "other" as const;
  const { file } = place.value;
  const isSame =
    place.value.url === url &&
    file.size === mark.size &&
    file.modified === mark.modified &&
    file.head === mark.head;
  return isSame ? place.value : ("other" as const);
});

export const keepPlace = (path: string, place: Place) =>
  Effect.flatMap(Machine, ({ replace }) =>
    replace(placePath(path), `${JSON.stringify(place)}\n`),
  );

export const forgetPlace = (path: string) =>
  Effect.flatMap(Machine, ({ remove }) => remove(placePath(path)));
