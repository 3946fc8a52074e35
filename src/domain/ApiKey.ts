/**
 * A key: what callers show, and what is kept of it. It is `osk_`, 160 random
 * bits and a checksum, in digits and lower-case letters without those that look
 * alike: it stands in URLs, headers and shells as it is, and a double click
 * takes all of it. The checksum is not for secrecy: a mistyped key is known as
 * such without asking the database.
 */
import { Schema } from "effect";
import { Time } from "./Order.ts";
import type { RateLimitText } from "./RateLimit.ts";
import { Scope } from "./Scope.ts";

/** Bytes of chance in a key. */
export const keyBytes = 20;

const prefix = "osk_";
const digits = "0123456789abcdefghjkmnpqrstvwxyz";
const secretLength = (keyBytes * 8) / 5;
const checksumLength = 6;

/** Characters of a key, all of them. */
export const keyLength = prefix.length + secretLength + checksumLength;

/** Characters that are shown, to tell keys apart; 130 bits stay hidden. */
export const shownLength = prefix.length + 6;

/** Five bits a character; what is left of the last byte, as zeros to its right. */
export const toDigits = (bytes: Uint8Array): string => {
  let text = "";
  let bits = 0;
  let held = 0;
  for (const byte of bytes) {
    held = ((held << 8) | byte) & 0xfff;
    bits += 8;
    while (bits >= 5) {
      bits -= 5;
      text += digits[(held >> bits) & 31];
    }
  }
  return bits > 0 ? text + digits[(held << (5 - bits)) & 31] : text;
};

/** CRC-32 (IEEE 802.3), bit by bit: it is asked for 36 characters at most. */
const crc32 = (text: string): number => {
  let crc = 0xffffffff;
  for (let index = 0; index < text.length; index += 1) {
    crc ^= text.charCodeAt(index);
    for (let bit = 0; bit < 8; bit += 1) {
      crc = (crc >>> 1) ^ (crc & 1 ? 0xedb88320 : 0);
    }
  }
  return ~crc >>> 0;
};

/** The upper 30 bits of the CRC-32. */
const checksumOf = (text: string): string => {
  const bits = crc32(text) >>> 2;
  let checksum = "";
  for (let shift = 25; shift >= 0; shift -= 5) {
    checksum += digits[(bits >>> shift) & 31];
  }
  return checksum;
};

/** @param bytes 20 of them, from a source that nobody can guess */
export const keyOf = (bytes: Uint8Array): string => {
  const body = prefix + toDigits(bytes);
  return body + checksumOf(body);
};

const shape = new RegExp(
  `^${prefix}[${digits}]{${secretLength + checksumLength}}$`,
);

/** Whether a text may be a key at all. */
export const isKey = (text: string): boolean =>
  text.length === keyLength &&
  shape.test(text) &&
  checksumOf(text.slice(0, -checksumLength)) === text.slice(-checksumLength);

/** The first characters of a key. */
export const shownOf = (key: string): string => key.slice(0, shownLength);

/** A character as it is, or percent-encoded as in a path. */
const orEncoded = (character: string) =>
  `(?:${character}|%${character.charCodeAt(0).toString(16)})`;

const keyInText = new RegExp(
  `${Array.from(prefix, orEncoded).join("")}(?:[0-9A-Za-z]|%[3-7][0-9A-F]){${secretLength},}`,
  "gi",
);

/** A text in which no key stands in full: of one, what is shown of it. */
export const withoutKeys = (text: string): string =>
  text.includes(prefix) || text.includes("%")
    ? text.replace(keyInText, (key) => `${shownOf(key)}...`)
    : text;

/** Bytes of chance in the id of a key: it is no secret. */
export const keyIdBytes = 10;

const idShape = new RegExp(`^[${digits}]{${(keyIdBytes * 8) / 5}}$`);

/** Whether a text may be the id of a key. */
export const isKeyId = (text: string): boolean => idShape.test(text);

/** Keys that are good at the same time, at most. */
export const keysMax = 1000;

/** What `ADMIN_KEY` is called, and so no key. */
export const adminName = "admin";

/** How long `ADMIN_KEY` has to be, and may be. */
export const adminKeyLengthMin = 32;
export const adminKeyLengthMax = 256;

export const nameLengthMax = 50;

const nameFault = `must have 1 to ${nameLengthMax} characters, without control characters and invisible ones`;

/** Control characters, and those that hide or turn what stands beside them. */
const visible = /^[^\p{Cc}\p{Cf}\p{Zl}\p{Zp}]*$/u;

/** Whose key it is; it stands as `actor` for what is done with it. */
export const KeyName = Schema.String.annotate({ message: nameFault }).check(
  Schema.makeFilter<string>(
    (name) => {
      const { length } = Array.from(name);
      if (length < 1 || length > nameLengthMax || !visible.test(name)) {
        return nameFault;
      }
      if (!name.isWellFormed()) return nameFault;
      if (name.trim() !== name) return "must not begin or end with a space";
      return name === adminName
        ? `must not be ${adminName}: so ADMIN_KEY is called`
        : undefined;
    },
    {
      toJsonSchema: () => ({
        minLength: 1,
        maxLength: nameLengthMax,
        pattern:
          "^[^\\u0000-\\u001f\\u007f-\\u009f\\u00ad\\u200b-\\u200f\\u2028-\\u202e\\u2060-\\u206f\\ufeff]+$",
      }),
    },
  ),
);

/** The longest time for which a key goes on after it was rolled, in seconds. */
export const graceSecondsMax = 30 * 86_400;

/** A key as it is listed: all that is known of it, but itself. */
export const KeyEntry = Schema.Struct({
  id: Schema.String.annotate({ description: "Names the key; no secret." }),
  name: Schema.String.annotate({
    description: "Stands as `actor` for what is done with the key.",
  }),
  scopes: Schema.Array(Scope),
  start: Schema.String.annotate({
    description: "The first characters of the key, to tell it from others.",
  }),
  rate_limit: Schema.NullOr(Schema.String).annotate({
    description: "Its own limit, such as `600/minute`; null: RATE_LIMIT.",
  }),
  created_at: Time,
  expires_at: Schema.NullOr(Time).annotate({
    description: "From then on it is refused; null: never.",
  }),
  rolled_at: Schema.NullOr(Time).annotate({
    description: "When this key took the place of the one before it.",
  }),
  old_key_until: Schema.NullOr(Time).annotate({
    description: "Until then the key before it is good, too.",
  }),
  revoked_at: Schema.NullOr(Time),
}).annotate({ identifier: "Key" });
export interface KeyEntry extends Schema.Schema.Type<typeof KeyEntry> {}

/** What a key is to be, before it is made. */
export interface NewKey {
  readonly name: string;
  readonly scopes: ReadonlyArray<Scope>;
  readonly expires_at: KeyEntry["expires_at"];
  readonly rate_limit: (typeof RateLimitText)["Type"] | null;
}
