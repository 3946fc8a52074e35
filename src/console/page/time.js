/** Times in the reader's zone, lengths of time, and numbers. */
import { html } from "htm/preact";

const sameYear = new Intl.DateTimeFormat(undefined, {
  month: "short",
  day: "2-digit",
  hour: "2-digit",
  minute: "2-digit",
  second: "2-digit",
  hour12: false,
});

const clock = new Intl.DateTimeFormat(undefined, {
  hour: "2-digit",
  minute: "2-digit",
  hour12: false,
});

/**
 * Hours and minutes in the reader's zone.
 *
 * @param {number} seconds since 1970
 */
export const clockOf = (seconds) => clock.format(seconds * 1000);

const otherYear = new Intl.DateTimeFormat(undefined, {
  dateStyle: "medium",
  timeStyle: "medium",
});

/** The reader's time zone, such as `Europe/Berlin`. */
export const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;

/**
 * In the reader's zone.
 *
 * @param {string | number | Date} time
 */
export const localTime = (time) => {
  const date = new Date(time);
  const isThisYear = date.getFullYear() === new Date().getFullYear();
  return (isThisYear ? sameYear : otherYear).format(date);
};

/**
 * A time in the reader's zone, with UTC on hover.
 *
 * @param {{ at: string | null | undefined, none?: string }} props
 */
export const Time = ({ at, none = "–" }) =>
  at === null || at === undefined
    ? html`<span class="faint">${none}</span>`
    : html`<time datetime=${at} title=${`${at.replace("T", " ").replace("Z", "")} UTC`}>${localTime(at)}</time>`;

/**
 * Such as `350 ms`, `4.2 s`, `12 min`, `3 h 5 min`, `2 d 4 h`.
 *
 * @param {number} seconds
 */
export const lengthOf = (seconds) => {
  if (seconds === 0) return "0 s";
  if (seconds < 0.0095) return `${(seconds * 1000).toFixed(1)} ms`;
  if (seconds < 0.9995) return `${Math.round(seconds * 1000)} ms`;
  if (seconds < 9.95 && !Number.isInteger(seconds)) {
    return `${seconds.toFixed(1)} s`;
  }
  if (seconds < 119.5) return `${Math.round(seconds)} s`;
  if (seconds < 594) return `${Number((seconds / 60).toFixed(1))} min`;
  const minutes = Math.round(seconds / 60);
  if (minutes < 120) return `${minutes} min`;
  const hours = Math.floor(minutes / 60);
  if (hours < 48) return `${hours} h ${minutes % 60} min`;
  return `${Math.floor(hours / 24)} d ${hours % 24} h`;
};

/**
 * From a time until now, or another time, in seconds.
 *
 * @param {string} from
 * @param {string | number} [to]
 */
export const secondsSince = (from, to = Date.now()) =>
  (new Date(to).getTime() - new Date(from).getTime()) / 1000;

/**
 * Such as `3 min ago`, or `in 20 s`.
 *
 * @param {string} time
 */
export const ago = (time) => {
  const seconds = secondsSince(time);
  if (Math.abs(seconds) < 1) return "just now";
  return seconds > 0
    ? `${lengthOf(Math.floor(seconds))} ago`
    : `in ${lengthOf(Math.ceil(-seconds))}`;
};

const whole = new Intl.NumberFormat("en");
const money = new Intl.NumberFormat("en", {
  minimumFractionDigits: 2,
  maximumFractionDigits: 2,
});

/** @param {number} count */
export const countOf = (count) => whole.format(count);

/** @param {number} amount */
export const moneyOf = (amount) => money.format(amount);

/**
 * Such as `0`, `0.4`, `12`, `1,900`; a dash where it is not known.
 *
 * @param {number | null | undefined} rate
 */
export const rateOf = (rate) => {
  if (rate === null || rate === undefined) return "–";
  if (rate === 0) return "0";
  return rate < 9.95
    ? Math.max(rate, 0.01).toFixed(rate < 0.095 ? 2 : 1)
    : whole.format(Math.round(rate));
};

/**
 * `1 order`, `2 orders`.
 *
 * @param {number} count
 * @param {string} one
 * @param {string} [many]
 */
export const counted = (count, one, many = `${one}s`) =>
  `${countOf(count)} ${count === 1 ? one : many}`;

/**
 * The value of a `datetime-local` input as a moment; undefined if it is none.
 *
 * @param {string} value in the reader's zone
 */
export const momentOf = (value) => {
  const date = new Date(value);
  return value === "" || Number.isNaN(date.getTime())
    ? undefined
    : date.toISOString();
};

/**
 * A moment as the value of a `datetime-local` input.
 *
 * @param {string | null} moment
 */
export const inputOf = (moment) => {
  const date = new Date(moment ?? "");
  if (Number.isNaN(date.getTime())) return "";
  const local = date.getTime() - date.getTimezoneOffset() * 60_000;
  return new Date(local).toISOString().slice(0, 19);
};
