/** What is wrong with the service, in words, the worst first. Pure. */
import { ago, counted, countOf, lengthOf, rateOf } from "./time.js";

/**
 * @typedef {object} Seen
 * @property {import("./contract.js").Answer<"orders.metrics"> | undefined} metrics
 * @property {import("./contract.js").Answer<"processing.get"> | undefined} processing
 * @property {number | undefined} deadLettersOfHour
 * @property {ReadonlyArray<import("./contract.js").Answer<"subscriptions.find">>} subscriptions
 */

/**
 * @typedef {object} Finding
 * @property {"bad" | "warn"} weight
 * @property {string} text
 * @property {readonly [string, string]} [link] a page, and what it is called
 */

/** There are so many partitions. */
const partitions = 32;

/** An order that has waited for so long waits for something, in seconds. */
const waitsLong = 60;

/** @param {NonNullable<Seen["processing"]>} processing */
const ofInstances = ({ instances, state }) => {
  /** @type {Array<Finding>} */
  const found = [];
  const owned = new Set(instances.flatMap((one) => one.partitions));
  const versions = new Set(instances.map(({ version }) => version));
  const late = instances.filter((one) => one.state !== state);
  if (instances.length === 0) {
    found.push({
      weight: "bad",
      text: "No instance has said anything for 10 s: no order is worked on. Look at the processes and their logs.",
    });
  } else if (owned.size < partitions) {
    found.push({
      weight: "bad",
      text: `${counted(partitions - owned.size, "partition has", "partitions have")} no owner: their orders wait until an instance takes them, usually within seconds.`,
      link: ["processing", "Processing"],
    });
  }
  for (const { name, upkeep } of instances) {
    for (const text of upkeep) {
      found.push({ weight: "warn", text: `${name}: ${text}` });
    }
  }
  if (versions.size > 1) {
    found.push({
      weight: "warn",
      text: `Instances run different versions: ${[...versions].sort().join(", ")}.`,
      link: ["processing", "Processing"],
    });
  }
  if (late.length > 0) {
    found.push({
      weight: "warn",
      text: `${late.map(({ name }) => name).join(", ")}: not yet ${state}. It takes an instance up to 2 s.`,
      link: ["processing", "Processing"],
    });
  }
  return found;
};

/** @param {NonNullable<Seen["processing"]>} processing */
const ofPause = ({ paused_at: at, paused_by: by, state }) =>
  state !== "PAUSED"
    ? []
    : [
        /** @type {Finding} */ ({
          weight: "warn",
          text: `Processing is PAUSED${at === null ? "" : `, ${ago(at)}`}${by === null ? "" : ` by ${by}`}: orders are taken in, and none begins.`,
          link: ["processing", "Resume on Processing"],
        }),
      ];

/** @param {NonNullable<Seen["processing"]>} processing */
const ofReceiver = ({ receiver }) => {
  if (receiver === null || receiver.circuit === "CLOSED") return [];
  const why = receiver.last_error === null ? "" : `: ${receiver.last_error}`;
  return [
    /** @type {Finding} */ ({
      weight: "bad",
      text:
        receiver.circuit === "OPEN"
          ? `The receiver has been away for ${lengthOf((Date.now() - new Date(receiver.since).getTime()) / 1000)}${why}. Orders wait for it; no attempt is spent.`
          : `The receiver was away${why}. One order tries now whether it is back.`,
      link: ["processing", "Processing"],
    }),
  ];
};

/**
 * @param {NonNullable<Seen["metrics"]>} metrics
 * @param {Seen["processing"]} processing
 */
const ofBacklog = (metrics, processing) => {
  const age = metrics.oldest_pending_age_seconds ?? 0;
  // Why they wait is said already.
  const isHeld =
    processing?.state === "PAUSED" || processing?.receiver?.circuit === "OPEN";
  if (age < waitsLong || isHeld) return [];
  const rates = processing?.rates;
  const gains =
    (rates?.placed_per_second ?? 0) > (rates?.completed_per_second ?? 0) * 1.05
      ? ` More are placed (${rateOf(rates?.placed_per_second)} a second) than completed (${rateOf(rates?.completed_per_second)}).`
      : "";
  return [
    /** @type {Finding} */ ({
      weight: "warn",
      text: `The oldest PENDING order is ${lengthOf(age)} old; ${countOf(metrics.status_counts.PENDING)} are PENDING, some of them perhaps until their next attempt.${gains}`,
      link: ["orders?status=PENDING", "PENDING orders"],
    }),
  ];
};

/** @param {Seen["subscriptions"]} subscriptions */
const ofSubscriptions = (subscriptions) => {
  const disabled = subscriptions.filter((one) => one.status === "DISABLED");
  const failing = subscriptions.filter(
    (one) => one.status === "ACTIVE" && one.failing_since !== null,
  );
  /** @type {readonly [string, string]} */
  const link = ["subscriptions", "Subscriptions"];
  return [
    ...(disabled.length === 0
      ? []
      : [
          /** @type {Finding} */ ({
            weight: "bad",
            text: `${counted(disabled.length, "subscription is", "subscriptions are")} DISABLED: nothing is posted there any more.`,
            link,
          }),
        ]),
    ...(failing.length === 0
      ? []
      : [
          /** @type {Finding} */ ({
            weight: "warn",
            text: `${counted(failing.length, "subscription's receiver fails", "subscriptions' receivers fail")}: deliveries are tried again.`,
            link,
          }),
        ]),
  ];
};

/**
 * @param {Seen} seen
 * @returns {ReadonlyArray<Finding>}
 */
export const findingsOf = ({
  deadLettersOfHour = 0,
  metrics,
  processing,
  subscriptions,
}) => {
  /** @type {Array<Finding>} */
  const found = [];
  if (processing !== undefined) {
    found.push(
      ...ofInstances(processing),
      ...ofReceiver(processing),
      ...ofPause(processing),
    );
  }
  if (deadLettersOfHour >= 1) {
    found.push({
      weight: "bad",
      text: `${counted(Math.round(deadLettersOfHour), "order", "orders")} became ${Math.round(deadLettersOfHour) === 1 ? "a dead letter" : "dead letters"} in the last hour.`,
      link: ["dead-letters", "Dead letters"],
    });
  }
  if (metrics !== undefined) found.push(...ofBacklog(metrics, processing));
  found.push(...ofSubscriptions(subscriptions));
  return [
    ...found.filter(({ weight }) => weight === "bad"),
    ...found.filter(({ weight }) => weight === "warn"),
  ];
};
