/** Texts of others, as they may stand on a terminal. */

/**
 * Control characters would move the cursor, colour what follows, or worse;
 * marks of direction would show a text in another order than it has.
 */
const unsafe =
  /[\p{Cc}\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069]/gu;

const hex = (character: string) =>
  (character.codePointAt(0) ?? 0).toString(16).padStart(2, "0");

/** On one line, with `\x1b` where there was an escape. */
export const safeText = (text: string): string =>
  text.replace(unsafe, (character) => `\\x${hex(character)}`);

/**
 * JSON that a terminal takes as text: `JSON.stringify` leaves DEL and the
 * second set of control characters as they are.
 */
export const safeJson = (json: string): string =>
  json.replace(
    /[\x7f-\x9f\u2028\u2029]/g,
    (character) => `\\u${hex(character).padStart(4, "0")}`,
  );

/** Whether a character takes two places of a terminal. */
const isWide = (point: number): boolean =>
  point >= 0x1100 &&
  (point <= 0x115f ||
    (point >= 0x2e80 && point <= 0xa4cf) ||
    (point >= 0xac00 && point <= 0xd7a3) ||
    (point >= 0xf900 && point <= 0xfaff) ||
    (point >= 0xfe30 && point <= 0xfe6f) ||
    (point >= 0xff00 && point <= 0xff60) ||
    (point >= 0xffe0 && point <= 0xffe6) ||
    (point >= 0x1f300 && point <= 0x1faff) ||
    (point >= 0x20000 && point <= 0x3fffd));

const widthOfCharacter = (character: string): number => {
  if (/^[\p{Mn}\p{Me}\p{Cf}]$/u.test(character)) return 0;
  return isWide(character.codePointAt(0) ?? 0) ? 2 : 1;
};

/** The places of a terminal that a text takes. */
export const widthOf = (text: string): number => {
  if (/^[\x20-\x7e]*$/.test(text)) return text.length;
  let width = 0;
  for (const character of text) {
    width += widthOfCharacter(character);
  }
  return width;
};

/** As much of a text as `width` places hold, with `…` where there is more. */
export const shortened = (text: string, width: number): string => {
  if (widthOf(text) <= width) return text;
  let taken = "";
  let left = width - 1;
  for (const character of text) {
    left -= widthOfCharacter(character);
    if (left < 0) break;
    taken += character;
  }
  return `${taken}…`;
};
