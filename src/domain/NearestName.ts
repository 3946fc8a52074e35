/** The known name that a mistyped one most likely stands for. */

/** Case and separators are what people mistype first: `userId` is `user_id`. */
const lettersOf = (name: string): string =>
  name.toLowerCase().replace(/[^\p{L}\p{N}]/gu, "");

/** Longer names are not compared: no name of this service comes near. */
const comparedMax = 64;

/**
 * How many single letters have to be inserted, removed, replaced, or swapped
 * with their neighbour (optimal string alignment).
 */
export const editDistance = (from: string, to: string): number => {
  let before: ReadonlyArray<number> = [];
  let row: ReadonlyArray<number> = Array.from(
    { length: to.length + 1 },
    (_, column) => column,
  );
  for (let i = 1; i <= from.length; i++) {
    const next = [i];
    for (let j = 1; j <= to.length; j++) {
      const isSame = from[i - 1] === to[j - 1];
      const isSwapped =
        i > 1 &&
        j > 1 &&
        from[i - 1] === to[j - 2] &&
        from[i - 2] === to[j - 1];
      next[j] = Math.min(
        (row[j] ?? 0) + 1,
        (next[j - 1] ?? 0) + 1,
        (row[j - 1] ?? 0) + (isSame ? 0 : 1),
        isSwapped ? (before[j - 2] ?? 0) + 1 : Number.POSITIVE_INFINITY,
      );
    }
    before = row;
    row = next;
  }
  return row[to.length] ?? 0;
};

/** A third of a name may be wrong, two letters at most. */
const mistakesIn = (letters: string): number =>
  Math.min(2, Math.floor(letters.length / 3));

/**
 * The nearest of `known` that is near enough.
 *
 * @param mistakesOf how many letters of a known name, without separators, may
 * be wrong
 */
export const nearestName = (
  name: string,
  known: Iterable<string>,
  mistakesOf: (letters: string) => number = mistakesIn,
): string | undefined => {
  if (name.length > comparedMax) return undefined;
  const given = lettersOf(name);
  let nearest: string | undefined;
  let least = Number.POSITIVE_INFINITY;
  for (const one of known) {
    const letters = lettersOf(one);
    const distance = editDistance(given, letters);
    if (distance < least && distance <= mistakesOf(letters)) {
      nearest = one;
      least = distance;
    }
  }
  return nearest;
};

/** The only one of `known` that `name` is the beginning of, or that begins it. */
export const nameBegunAs = (
  name: string,
  known: Iterable<string>,
): string | undefined => {
  const given = lettersOf(name);
  if (given.length < 3 || name.length > comparedMax) return undefined;
  const begun = Array.from(known).filter((one) => {
    const letters = lettersOf(one);
    return letters.startsWith(given) || given.startsWith(letters);
  });
  return begun.length === 1 ? begun[0] : undefined;
};
