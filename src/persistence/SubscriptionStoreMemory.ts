/** Subscriptions in memory, for tests that want no database. */
import { DateTime, Duration, Effect, Layer, Option } from "effect";
import type { EventPlace } from "../domain/OrderEvent.ts";
import { type Subscription, subscriptionsMax } from "../domain/Subscription.ts";
import { EventLog } from "./EventLog.ts";
import { type Claimed, SubscriptionStore } from "./SubscriptionStore.ts";

interface Row {
  readonly slot: number;
  readonly secret: string;
  readonly place: EventPlace;
  readonly epoch: number;
  readonly resumed: number;
  readonly subscription: Omit<Subscription, "lag_seconds">;
}

const notFailing = {
  failures: 0,
  failing_since: null,
  next_attempt_at: null,
  last_error: null,
} as const;

const millisBetween = (from: DateTime.Utc, to: DateTime.Utc) =>
  Math.max(0, to.epochMilliseconds - from.epochMilliseconds);

const make = Effect.gen(function* () {
  const log = yield* EventLog;
  const rows = new Map<string, Row>();

  const shown = Effect.fnUntraced(function* ({ place, subscription }: Row) {
    const at = yield* log.oldestAfter(place);
    const now = yield* DateTime.now;
    return {
      ...subscription,
      lag_seconds:
        at === undefined ? 0 : Math.max(0, now.epochMilliseconds - at) / 1000,
    };
  });

  const rowOf = (id: string) => Option.fromUndefinedOr(rows.get(id));

  const find = (id: string) =>
    Effect.suspend(() => {
      const row = rows.get(id);
      return row === undefined ? Effect.succeedNone : Effect.asSome(shown(row));
    });

  /** Changes a row; nothing where it is not there. */
  const change = (id: string, to: (row: Row) => Row) => {
    const row = rows.get(id);
    if (row !== undefined) rows.set(id, to(row));
  };

  const claimedRow = ({ epoch, id }: Claimed) => {
    const row = rows.get(id);
    return row?.epoch === epoch ? row : undefined;
  };

  const activeRow = (claimed: Claimed) => {
    const row = claimedRow(claimed);
    return row?.subscription.status === "ACTIVE" ? row : undefined;
  };

  return SubscriptionStore.of({
    insert: ({ id, place, secret, types, url }) =>
      Effect.gen(function* () {
        const taken = new Set(Array.from(rows.values(), (row) => row.slot));
        let slot = 0;
        while (taken.has(slot)) slot += 1;
        if (slot >= subscriptionsMax) return Option.none();
        const row: Row = {
          ...{ slot, secret, place, epoch: 0, resumed: 0 },
          subscription: {
            ...{ id, url, types, status: "ACTIVE", reason: null },
            created_at: yield* DateTime.now,
            delivered: 0,
            delivered_at: null,
            ...notFailing,
          },
        };
        rows.set(id, row);
        return Option.some(yield* shown(row));
      }),
    list: Effect.suspend(() =>
      Effect.forEach(Array.from(rows.values()), shown),
    ),
    find,
    receiver: (id) =>
      Effect.sync(() =>
        Option.map(rowOf(id), ({ secret, subscription }) => ({
          url: subscription.url,
          secret,
        })),
      ),
    remove: (id) => Effect.sync(() => rows.delete(id)),
    pause: (id) =>
      Effect.suspend(() => {
        change(id, (row) =>
          row.subscription.status === "ACTIVE"
            ? {
                ...row,
                subscription: {
                  ...row.subscription,
                  status: "PAUSED",
                  next_attempt_at: null,
                },
              }
            : row,
        );
        return find(id);
      }),
    resume: (id) =>
      Effect.suspend(() => {
        change(id, (row) => ({
          ...row,
          resumed: row.resumed + 1,
          subscription: {
            ...row.subscription,
            ...notFailing,
            status: "ACTIVE",
            reason: null,
          },
        }));
        return find(id);
      }),

    active: Effect.sync(() =>
      Array.from(rows.values())
        .filter(({ subscription }) => subscription.status === "ACTIVE")
        .map(({ epoch, resumed, slot, subscription }) => ({
          ...{ id: subscription.id, slot, resumed, epoch },
        })),
    ),
    claim: (id) =>
      Effect.map(DateTime.now, (now) => {
        const row = rows.get(id);
        if (row?.subscription.status !== "ACTIVE") return Option.none();
        const epoch = row.epoch + 1;
        rows.set(id, { ...row, epoch });
        const { failures, next_attempt_at, types, url } = row.subscription;
        return Option.some({
          ...{ id, url, types, secret: row.secret, epoch, place: row.place },
          failures,
          wait: Duration.millis(
            next_attempt_at === null ? 0 : millisBetween(now, next_attempt_at),
          ),
        });
      }),
    keepPlace: (claimed, place, delivered) =>
      Effect.map(DateTime.now, (now) => {
        const row = claimedRow(claimed);
        if (row === undefined) return false;
        const { subscription } = row;
        rows.set(claimed.id, {
          ...row,
          place,
          subscription:
            delivered === 0
              ? subscription
              : {
                  ...subscription,
                  ...notFailing,
                  delivered: subscription.delivered + delivered,
                  delivered_at: now,
                },
        });
        return true;
      }),
    fail: (claimed, { error, wait }) =>
      Effect.map(DateTime.now, (now) => {
        const row = activeRow(claimed);
        if (row === undefined) return Option.none();
        const failing_since = row.subscription.failing_since ?? now;
        rows.set(claimed.id, {
          ...row,
          subscription: {
            ...row.subscription,
            failures: row.subscription.failures + 1,
            failing_since,
            next_attempt_at: DateTime.addDuration(now, wait),
            last_error: error,
          },
        });
        return Option.some(Duration.millis(millisBetween(failing_since, now)));
      }),
    disable: (claimed, reason) =>
      Effect.sync(() => {
        const row = activeRow(claimed);
        if (row === undefined) return false;
        rows.set(claimed.id, {
          ...row,
          subscription: {
            ...row.subscription,
            status: "DISABLED",
            reason,
            next_attempt_at: null,
          },
        });
        return true;
      }),
  });
});

/** Gone with the layer. */
export const layer = Layer.effect(SubscriptionStore, make);
