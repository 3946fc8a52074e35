/**
 * Orders in memory, for tests that want no database: the same contract, kept
 * by the same conformance suite. Its clock is Effect's, so `TestClock` moves it.
 */
import {
  Context,
  DateTime,
  Effect,
  Latch,
  Layer,
  Option,
  Result,
} from "effect";
import { eventIdOf, placeIn } from "../domain/EventId.ts";
import { type NewOrder, type Order, sameContent } from "../domain/Order.ts";
import {
  type EventPlace,
  type EventType,
  type OrderEvent,
  statusAfter,
} from "../domain/OrderEvent.ts";
import type { HistoryEntry } from "../domain/OrderHistory.ts";
import { moves } from "../domain/OrderLifecycle.ts";
import { OrderStatus } from "../domain/OrderStatus.ts";
import type { Partition } from "../domain/Partition.ts";
import {
  Actor,
  EventLog,
  EventsGone,
  ThisInstance,
  WritesEvents,
} from "./EventLog.ts";
import { OrderArchive } from "./OrderArchive.ts";
import * as OrderArchiveMemory from "./OrderArchiveMemory.ts";
import {
  type Attempt,
  type Beginning,
  type Choice,
  type Epoch,
  historyMax,
  type LogPlace,
  type OpenOrder,
  OrderHasLeft,
  type OrderQuery,
  OrderRepository,
  type Placement,
  type Placing,
  pageBytesMax,
  type Taken,
} from "./OrderRepository.ts";

export interface Row {
  readonly order: Order;
  readonly seq: bigint;
  readonly partition: Partition;
  readonly item_bytes: number;
  /** Set while it is open and aside. */
  readonly due_at: DateTime.Utc | undefined;
  /** Attempts ever begun. */
  readonly begun: number;
}

/** Whether a row is due: also one that a clock set back left in the future. */
const isDue = ({ order }: Row, due_at: DateTime.Utc, now: DateTime.Utc) =>
  due_at.epochMilliseconds <= now.epochMilliseconds ||
  order.updated_at.epochMilliseconds > now.epochMilliseconds + 60_000;

const itemBytesOf = ({ item_ids }: NewOrder) => JSON.stringify(item_ids).length;

/** There is one database, as long as the layer lives. */
const origin = "memory";

const make = Effect.gen(function* () {
  const writesEvents = yield* WritesEvents;
  const instance = yield* ThisInstance;
  const events: Array<OrderEvent> = [];
  const histories = new Map<string, Array<HistoryEntry>>();
  const written = Latch.makeUnsafe(false);

  const tell = (
    type: EventType,
    { begun, order }: Row,
    more: Partial<OrderEvent> = {},
  ) => {
    if (!writesEvents) return;
    const at = order.updated_at.epochMilliseconds;
    const place = { record: BigInt(events.length + 1), index: 0, at };
    events.push({
      id: eventIdOf(origin, place),
      place,
      type,
      time: order.updated_at,
      order_id: order.order_id,
      user_id: order.user_id,
      status: statusAfter[type],
      attempt: begun,
      ...more,
    });
    written.openUnsafe();
    written.closeUnsafe();
  };

  const keep = (order_id: string, entry: HistoryEntry) => {
    const history = histories.get(order_id) ?? [];
    history.push(entry);
    if (history.length > historyMax) history.shift();
    histories.set(order_id, history);
  };

  /** The latest attempt, as it is: `outcome` says how it ended, if it did. */
  const attemptOf = (
    { begun, order }: Row,
    outcome: "completed" | "failed" | "lost" | "given_back" | null,
    error: string | undefined,
  ): HistoryEntry => {
    const began_at = order.processing_started_at ?? order.created_at;
    return {
      type: "attempt",
      time: began_at,
      attempt: begun,
      instance,
      began_at,
      ended_at: outcome === null ? null : order.updated_at,
      outcome,
      error: error ?? null,
    };
  };

  /** What somebody did: told, and kept with who it was. */
  const act = (type: "cancelled" | "retried", row: Row) =>
    Effect.map(Actor, (actor) => {
      tell(`order.${type}`, row, actor === undefined ? {} : { actor });
      const time = row.order.updated_at;
      keep(row.order.order_id, { type, time, actor: actor ?? null });
    });

  const rows = new Map<string, Row>();
  /** How many rows there ever were, and those that have left. */
  let accepted = 0;
  const left = OrderArchiveMemory.make(rows, (order_id) =>
    histories.delete(order_id),
  );
  let processingSeconds = 0;
  let failures = 0;

  const epochs = new Map<Partition, Epoch>();
  const epochOf = (partition: Partition): Epoch => epochs.get(partition) ?? 0;

  /** Moves an order on, if it is in `from`; the row as it is afterwards. */
  const move = (
    find: () => Row | undefined,
    { from, to }: { from: OrderStatus; to: OrderStatus },
    change: (now: DateTime.Utc, row: Row) => Partial<Order>,
    dueAt: (now: DateTime.Utc, row: Row) => DateTime.Utc | undefined = () =>
      undefined,
  ) =>
    Effect.map(DateTime.now, (now): Option.Option<Row> => {
      const row = find();
      if (row === undefined || row.order.status !== from) return Option.none();
      const order: Order = {
        ...row.order,
        ...change(now, row),
        status: to,
        updated_at: now,
      };
      const due = dueAt(now, row);
      const moved: Row = {
        ...row,
        due_at: due,
        begun: to === "PROCESSING" ? row.begun + 1 : row.begun,
        order: {
          ...order,
          next_attempt_at:
            order.status === "PENDING" && order.attempts > 0
              ? (due ?? null)
              : null,
        },
      };
      rows.set(order.order_id, moved);
      if (to === "FAILED") failures += 1;
      return Option.some(moved);
    });

  /** The row whose attempt under way is this one: the fence. */
  const underway =
    ({ order_id, attempt }: Attempt) =>
    () => {
      const row = rows.get(order_id);
      return row?.begun === attempt ? row : undefined;
    };

  const places = new Map<Partition, LogPlace>();

  /** The open orders of a partition, oldest first. */
  const openIn = (partition: Partition) =>
    Array.from(rows.values())
      .filter(
        ({ order, ...row }) =>
          row.partition === partition &&
          (order.status === "PENDING" || order.status === "PROCESSING"),
      )
      .sort((a, b) => newestFirst(b, a));

  const openOrder = ({ begun, item_bytes, order, seq }: Row): OpenOrder => ({
    order_id: order.order_id,
    item_bytes,
    seq,
    underway:
      order.status === "PROCESSING"
        ? { order_id: order.order_id, attempt: begun, attempts: order.attempts }
        : undefined,
  });

  const newestFirst = (a: Row, b: Row) => Number(b.seq - a.seq);

  const isAsked = (query: OrderQuery) => (row: Row) => {
    const created = row.order.created_at.epochMilliseconds;
    const { after, created_after, created_before, status, user_id } = query;
    return (
      (after === undefined || row.seq < after.seq) &&
      (created_after === undefined ||
        created >= created_after.epochMilliseconds) &&
      (created_before === undefined ||
        created < created_before.epochMilliseconds) &&
      (status === undefined ||
        status.length === 0 ||
        status.includes(row.order.status)) &&
      (user_id === undefined || row.order.user_id === user_id)
    );
  };

  const acted = (type: "cancelled" | "retried") => (row: Option.Option<Row>) =>
    Option.isSome(row) ? act(type, row.value) : Effect.void;

  const retry = (order_id: string) =>
    move(
      () => rows.get(order_id),
      moves.retry,
      () => ({ attempts: 0 }),
      (now) => now,
    ).pipe(
      Effect.tap(acted("retried")),
      Effect.map(
        Option.map((row) => ({
          order_id: row.order.order_id,
          order: row.order,
          partition: row.partition,
          item_bytes: row.item_bytes,
        })),
      ),
    );

  const cancel = (order_id: string) =>
    move(
      () => rows.get(order_id),
      moves.cancel,
      () => ({}),
    ).pipe(Effect.tap(acted("cancelled")));

  /** The orders of a choice, oldest first. */
  const chosen = ({ after, error, status, ...filter }: Choice) =>
    Array.from(rows.values())
      .filter(({ seq }) => seq > (after?.seq ?? 0n))
      .filter(isAsked({ ...filter, status: [status], limit: 1 }))
      .filter(({ order }) => error === undefined || order.last_error === error)
      .sort((a, b) => newestFirst(b, a));

  const changeMany = <A>(
    choice: Choice,
    limit: number,
    change: (order_id: string) => Effect.Effect<Option.Option<A>>,
  ) =>
    Effect.suspend(() => {
      const found = chosen(choice);
      return Effect.map(
        Effect.forEach(found.slice(0, limit), (row) =>
          change(row.order.order_id),
        ),
        (changed) => ({
          orders: changed.flatMap(Option.toArray),
          more: found.length > limit,
          end: found.length > limit ? found[limit - 1] : undefined,
        }),
      );
    });

  const begin = ({ epoch, order_id }: Beginning) =>
    Effect.flatMap(DateTime.now, (now) => {
      const dueRow = () => {
        const row = rows.get(order_id);
        return row !== undefined &&
          (row.due_at === undefined || isDue(row, row.due_at, now)) &&
          epochOf(row.partition) === epoch
          ? row
          : undefined;
      };
      return move(
        dueRow,
        moves.begin,
        (now, { order }) => ({
          attempts: order.attempts + 1,
          processing_started_at: now,
        }),
        // What is aside stays so until it is final.
        (now, { due_at }) => due_at && DateTime.min(due_at, now),
      );
    }).pipe(
      Effect.map(Option.map(({ begun, order }) => ({ order, attempt: begun }))),
    );

  const complete = (attempt: Attempt) =>
    move(underway(attempt), moves.complete, (now) => ({
      processing_completed_at: now,
    })).pipe(
      Effect.map((moved) => {
        if (Option.isNone(moved)) return false;
        tell("order.completed", moved.value);
        const { processing_started_at, processing_completed_at } =
          moved.value.order;
        if (processing_started_at && processing_completed_at) {
          const seconds =
            (processing_completed_at.epochMilliseconds -
              processing_started_at.epochMilliseconds) /
            1000;
          const { workSeconds = 0 } = attempt;
          processingSeconds += Math.min(
            workSeconds + 60,
            Math.max(workSeconds, seconds),
          );
        }
        return true;
      }),
    );

  const insert = (
    now: DateTime.Utc,
    { order, partition }: Placing,
  ): Result.Result<Placement, OrderHasLeft> => {
    const item_bytes = itemBytesOf(order);
    const stored = rows.get(order.order_id);
    if (stored !== undefined) {
      return Result.succeed({ order: stored.order, isNew: false, item_bytes });
    }
    const archived = left.orders.get(order.order_id);
    if (archived !== undefined) {
      const isSame = sameContent(order, archived.order);
      return Result.fail(new OrderHasLeft({ isSame }));
    }
    const placed: Order = {
      ...order,
      status: "PENDING",
      created_at: now,
      updated_at: now,
      processing_started_at: null,
      processing_completed_at: null,
      attempts: 0,
      next_attempt_at: null,
      last_error: null,
    };
    accepted += 1;
    const seq = BigInt(accepted);
    const row = {
      ...{ order: placed, seq, partition, item_bytes },
      due_at: undefined,
      begun: 0,
    };
    rows.set(order.order_id, row);
    tell("order.placed", row);
    return Result.succeed({ order: placed, isNew: true, item_bytes });
  };

  const repository = OrderRepository.of({
    insert: (order, partition) =>
      Effect.flatMap(DateTime.now, (now) =>
        Effect.fromResult(insert(now, { order, partition })),
      ),
    insertMany: (placings) =>
      Effect.map(DateTime.now, (now) =>
        placings.map((placing) =>
          Result.map(insert(now, placing), (placement) => {
            const isOther =
              placement.item_bytes !== itemBytesOf(placement.order);
            return isOther ? { ...placement, order: undefined } : placement;
          }),
        ),
      ),
    insertAllOrNone: (placings) =>
      Effect.map(DateTime.now, (now) => {
        const first = new Map<string, NewOrder>();
        const taken = placings.flatMap(
          ({ order }, index): ReadonlyArray<Taken> => {
            const { order_id } = order;
            if (left.orders.has(order_id)) return [{ index, by: "archived" }];
            const other = rows.get(order_id)?.order ?? first.get(order_id);
            if (other === undefined) first.set(order_id, order);
            return sameContent(order, other ?? order)
              ? []
              : [{ index, by: "other content" }];
          },
        );
        return taken.length > 0
          ? Result.fail(taken)
          : Result.succeed(
              placings.flatMap((placing) => {
                const placed = insert(now, placing);
                return Result.isSuccess(placed) ? [placed.success] : [];
              }),
            );
      }),
    hasLeft: (order_id) => Effect.sync(() => left.orders.has(order_id)),
    find: (order_id) =>
      Effect.sync(() =>
        Option.map(
          Option.fromUndefinedOr(rows.get(order_id)),
          (row) => row.order,
        ),
      ),
    history: (order_id) =>
      Effect.sync(() =>
        Option.map(Option.fromUndefinedOr(rows.get(order_id)), (row) => {
          const { created_at, status } = row.order;
          const latest =
            status === "COMPLETED" || status === "PROCESSING"
              ? [
                  attemptOf(
                    row,
                    status === "COMPLETED" ? "completed" : null,
                    undefined,
                  ),
                ]
              : [];
          return [
            { type: "placed", time: created_at },
            ...(histories.get(order_id) ?? []),
            ...latest,
          ];
        }),
      ),
    list: (query) =>
      Effect.sync(() => {
        const found = Array.from(rows.values())
          .filter(isAsked(query))
          .sort(newestFirst);
        const length = pageLength(found, query.limit);
        const last = found[length - 1];
        return {
          orders: found.slice(0, length).map((row) => row.order),
          end:
            found.length > length && last !== undefined
              ? { seq: last.seq }
              : undefined,
        };
      }),
    tally: Effect.map(DateTime.now, (now) => {
      const counts = Object.fromEntries(
        OrderStatus.literals.map((status) => [status, 0]),
      ) as Record<OrderStatus, number>;
      let oldest: number | undefined;
      for (const { order } of left.orders.values()) counts[order.status] += 1;
      for (const { order } of rows.values()) {
        counts[order.status] += 1;
        const created = order.created_at.epochMilliseconds;
        if (order.status === "PENDING") {
          oldest = Math.min(oldest ?? created, created);
        }
      }
      return {
        accepted,
        archived: left.orders.size,
        counts,
        failures,
        processingSeconds,
        oldestPendingSeconds:
          oldest === undefined
            ? undefined
            : (now.epochMilliseconds - oldest) / 1000,
      };
    }),
    count: (after, limit) =>
      Effect.sync(() => {
        const ahead = Array.from(rows.values()).filter(
          (row) => row.seq > (after?.seq ?? 0n),
        );
        const gone = after === undefined ? 0 : left.since(after);
        const last = ahead[limit - 1];
        return last === undefined
          ? {
              orders: ahead.length - gone,
              next: undefined,
              accepted: rows.size,
            }
          : {
              orders: limit - gone,
              next: { seq: last.seq, batch: left.batch() },
            };
      }),
    // Numbers are never given twice here.
    countUnread: Effect.succeed(0),
    findUnread: () => Effect.succeed({ next: undefined, found: [] }),
    readAgain: (partition, from) =>
      Effect.sync(() => {
        if ((places.get(partition) ?? 0n) < from) return;
        places.set(partition, from - 1n);
        epochs.set(partition, epochOf(partition) + 1);
      }),
    isEmpty: Effect.sync(() => accepted === 0),

    claim: (partition) =>
      Effect.sync(() => {
        const epoch = epochOf(partition) + 1;
        epochs.set(partition, epoch);
        return { epoch, place: places.get(partition) ?? 0n };
      }),
    readLog: (partition, after, limit) =>
      Effect.sync(() => {
        const settledTo = BigInt(accepted);
        const ahead = openIn(partition).filter(
          ({ due_at, seq }) => seq > after && due_at === undefined,
        );
        const open = ahead.slice(0, limit).map(openOrder);
        const isEnd = ahead.length <= limit;
        const readTo = isEnd ? settledTo : (open.at(-1)?.seq ?? after);
        return {
          open,
          readTo: readTo > after ? readTo : after,
          isEnd,
          settledTo,
        };
      }),
    readAside: (partition, limit) =>
      Effect.map(DateTime.now, (now) =>
        openIn(partition)
          .flatMap((row) =>
            row.due_at !== undefined && isDue(row, row.due_at, now)
              ? [{ row, due: row.due_at.epochMilliseconds }]
              : [],
          )
          .sort((a, b) => a.due - b.due || newestFirst(b.row, a.row))
          .slice(0, limit)
          .map(({ row }) => openOrder(row)),
      ),
    keepPlace: (partition, epoch, place) =>
      Effect.sync(() => {
        if (epochOf(partition) !== epoch) return;
        if (place > (places.get(partition) ?? 0n)) places.set(partition, place);
      }),
    epoch: (partition) => Effect.sync(() => epochOf(partition)),
    begin: (asked) => Effect.forEach(asked, (one) => Effect.result(begin(one))),
    complete: (attempts) =>
      Effect.forEach(attempts, (attempt) => Effect.result(complete(attempt))),
    fail: (failure) =>
      move(
        () => {
          const row = underway(failure)();
          return row !== undefined &&
            (failure.epoch ?? epochOf(row.partition)) === epochOf(row.partition)
            ? row
            : undefined;
        },
        failure.wait === undefined ? moves.bury : moves.postpone,
        () => ({ last_error: failure.error }),
        (now) =>
          failure.wait === undefined
            ? undefined
            : DateTime.addDuration(now, failure.wait),
      ).pipe(
        Effect.map((moved) => {
          if (Option.isNone(moved)) return false;
          const { error, isLost } = failure;
          keep(
            failure.order_id,
            attemptOf(moved.value, isLost ? "lost" : "failed", error),
          );
          const { due_at } = moved.value;
          tell(
            failure.wait === undefined
              ? "order.failed"
              : "order.attempt_failed",
            moved.value,
            {
              error,
              ...(isLost ? { lost: true } : {}),
              ...(due_at === undefined ? {} : { next_attempt_at: due_at }),
            },
          );
          return true;
        }),
      ),
    release: (released) =>
      move(
        underway(released),
        moves.release,
        (_, { order }) => ({
          attempts: order.attempts - 1,
          last_error: released.error ?? order.last_error,
        }),
        (now) => DateTime.addDuration(now, released.wait),
      ).pipe(
        Effect.map((moved) => {
          if (Option.isNone(moved)) return false;
          keep(
            released.order_id,
            attemptOf(moved.value, "given_back", released.error),
          );
          return true;
        }),
      ),

    cancel: (order_id) =>
      Effect.map(
        cancel(order_id),
        Option.map((row) => row.order),
      ),
    retry,
    retryMany: ({ limit, ...choice }) =>
      changeMany({ ...choice, status: "FAILED" }, limit, retry),
    cancelMany: ({ limit, ...choice }) =>
      Effect.map(
        changeMany({ ...choice, status: "PENDING" }, limit, cancel),
        ({ orders, ...rest }) => ({
          orders: orders.map((row) => row.order.order_id),
          ...rest,
        }),
      ),
    countMatching: (choice, max) =>
      Effect.sync(() => {
        const found = chosen(choice).length;
        return { matching: Math.min(found, max), isCapped: found > max };
      }),
  });

  const latest = (): EventPlace => ({
    record: BigInt(events.length),
    index: 0,
    ...(events.length === 0 ? {} : { at: events.at(-1)?.place.at }),
  });

  const eventLog = EventLog.of({
    isOn: writesEvents,
    oldest: Effect.succeed({ record: 0n, index: 0 }),
    latest: Effect.sync(latest),
    place: (id) => {
      const found = placeIn(id);
      return found?.origin === origin
        ? Effect.succeed(found.place)
        : Effect.fail(new EventsGone({ reason: "another database" }));
    },
    idOf: (place) => Effect.succeed(eventIdOf(origin, place)),
    read: (after, limit) =>
      Effect.suspend(() => {
        const from = Number(after.record);
        const at = events[from - 1]?.place.at;
        if (from > events.length || (after.at ?? at) !== at) {
          return Effect.fail(new EventsGone({ reason: "another database" }));
        }
        const read = events.slice(from, from + limit);
        const end = read.at(-1)?.place ?? after;
        return Effect.succeed({
          events: read,
          end,
          endId: eventIdOf(origin, end),
          isEnd: read.length < limit,
        });
      }),
    oldestAfter: ({ record }) =>
      Effect.sync(() => events[Number(record)]?.place.at),
    heldUpSeconds: Effect.succeed(0),
    keepDays: () => Effect.void,
    untilWritten: written.await,
  });
  return Context.make(OrderRepository, repository).pipe(
    Context.add(EventLog, eventLog),
    Context.add(OrderArchive, left.archive),
  );
});

/** How many rows are a page: those asked for, or until their items are too much. */
const pageLength = (rows: ReadonlyArray<Row>, limit: number): number => {
  let length = 0;
  let bytes = 0;
  while (length < limit && length < rows.length && bytes < pageBytesMax) {
    bytes += rows[length]?.item_bytes ?? 0;
    length += 1;
  }
  return length;
};

/** Orders in memory, and what happened to them, gone with the layer. */
export const layer = Layer.effectContext(make);
