/**
 * What every `OrderRepository` keeps to. One suite, run over each of them:
 * it knows nothing of how orders are remembered, only the contract.
 */
import { assert, layer as withLayer } from "@effect/vitest";
import {
  Arbitrary,
  Cause,
  Context,
  DateTime,
  Duration,
  Effect,
  type Layer,
  Option,
  Schedule,
  Schema,
  type Scope,
} from "effect";
import {
  type NewOrder,
  Order,
  OrderId,
  TotalAmount,
  UserId,
} from "../../src/domain/Order.ts";
import { OrderStatus } from "../../src/domain/OrderStatus.ts";
import { Partition } from "../../src/domain/Partition.ts";
import type {
  Attempt,
  CountPlace,
  LogPlace,
  ManyQuery,
  OrderQuery,
  OrderRepository,
} from "../../src/persistence/OrderRepository.ts";
import { beginOne, completeOne } from "../support/oneOrder.ts";
import { manyPlacingsSuite } from "./manyPlacingsSuite.ts";

export type Repository = OrderRepository["Service"];

/** Where the suite gets its repositories from, and how their time passes. */
export class Subject extends Context.Service<
  Subject,
  {
    /** A repository without orders. The one before it is not used again. */
    readonly fresh: Effect.Effect<Repository, never, Scope.Scope>;
    /** The repository's clock moves on, by at least so much. */
    readonly pass: (time: Duration.Input) => Effect.Effect<void>;
    /** The repository's clock is set back, by at least so much. */
    readonly setBack: (time: Duration.Input) => Effect.Effect<void>;
  }
>()("test/OrderRepositorySuite/Subject") {}

const subject = Effect.gen(function* () {
  const { fresh, pass, setBack } = yield* Subject;
  return { repository: yield* fresh, pass, setBack };
});

export const id = (text: string): OrderId => OrderId.make(text);

const partition = Partition.make(7);
const elsewhere = Partition.make(8);

export const newOrder = (
  order_id: string,
  content: {
    readonly user_id?: string;
    readonly item_ids?: ReadonlyArray<unknown>;
    readonly total_amount?: number;
  } = {},
): NewOrder => ({
  order_id: id(order_id),
  user_id: UserId.make(content.user_id ?? "USER001"),
  item_ids: content.item_ids ?? ["ITEM001"],
  total_amount: TotalAmount.make(content.total_amount ?? 12.5),
});

/** An order as a caller would see it, for comparing and for reading. */
export const shown = (order: Order): typeof Order.Encoded =>
  Schema.encodeSync(Order)(order);

const all = <A, E, R>(effects: ReadonlyArray<Effect.Effect<A, E, R>>) =>
  Effect.all(effects, { concurrency: "unbounded" });

const found = (repository: Repository, order_id: string) =>
  Effect.map(repository.find(order_id), Option.getOrThrow);

/** The open orders of a partition: those of its log, then those that are aside. */
const openIn = (repository: Repository, partition: Partition, limit = 10) =>
  Effect.map(
    all([
      Effect.map(repository.readLog(partition, 0n, limit), (read) => read.open),
      repository.readAside(partition, limit),
    ]),
    (read) => read.flat(),
  );

/** The ids of the orders that may be begun in a partition. */
const dueIn = (repository: Repository, partition: Partition, limit = 10) =>
  Effect.map(openIn(repository, partition, limit), (open) =>
    open.flatMap((_) => (_.underway === undefined ? [_.order_id] : [])),
  );

/** The attempts of a partition that have begun and not ended. */
const underwayIn = (repository: Repository, partition: Partition) =>
  Effect.map(openIn(repository, partition), (open) =>
    open.flatMap((_) => (_.underway === undefined ? [] : [_.underway])),
  );

const claimed = (repository: Repository, partition: Partition) =>
  Effect.map(repository.claim(partition), ({ epoch }) => epoch);

/** The epoch of a partition that nobody has taken over yet. */
const firstEpoch = 0;

/** Places an order and begins its first attempt. */
const begun = Effect.fnUntraced(function* (
  repository: Repository,
  order_id: string,
) {
  yield* repository.insert(newOrder(order_id), partition);
  const { attempt, order } = Option.getOrThrow(
    yield* beginOne(repository, id(order_id), firstEpoch),
  );
  return { order_id: order.order_id, attempt };
});

const everything: OrderQuery = { limit: 100_000 };

/** The tally is what counting the orders themselves would give. */
export const assertTallyIsCount = Effect.fnUntraced(function* (
  repository: Repository,
) {
  const { orders } = yield* repository.list(everything);
  const tally = yield* repository.tally;
  assert.strictEqual(tally.accepted, orders.length);
  for (const status of OrderStatus.literals) {
    assert.strictEqual(
      tally.counts[status],
      orders.filter((order) => order.status === status).length,
      status,
    );
  }
  const millis = orders.map((order) =>
    order.status === "COMPLETED" &&
    order.processing_started_at !== null &&
    order.processing_completed_at !== null
      ? order.processing_completed_at.epochMilliseconds -
        order.processing_started_at.epochMilliseconds
      : 0,
  );
  assert.closeTo(
    tally.processingSeconds,
    millis.reduce((sum, _) => sum + _, 0) / 1000,
    0.000_001,
  );
  assert.strictEqual(
    tally.oldestPendingSeconds === undefined,
    tally.counts.PENDING === 0,
  );
});

/** Orders counted in steps of `limit`, and how many were ever accepted. */
export const counted = Effect.fnUntraced(function* (
  repository: Repository,
  limit: number,
) {
  let orders = 0;
  let after: CountPlace | undefined;
  while (true) {
    const step = yield* repository.count(after, limit);
    orders += step.orders;
    if (step.next === undefined) return [orders, step.accepted] as const;
    assert.strictEqual(step.orders, limit);
    after = step.next;
  }
});

// -- the model of a random sequence ------------------------------------------

const Move = Schema.Struct({
  move: Schema.Literals([
    "insert",
    "begin",
    "complete",
    "postpone",
    "postpone for long",
    "bury",
    "release",
    "release for long",
    "cancel",
    "retry",
  ]),
  order: Schema.Literals(["A", "B", "C"]),
  /** By how much the attempt named is not the one under way. */
  off: Schema.Literals([0, 0, 0, -1, 1]),
});
type Move = typeof Move.Type;

interface Modelled {
  readonly status: OrderStatus;
  readonly attempts: number;
  /** Attempts ever begun: the number of the latest. */
  readonly begun: number;
  readonly isDue: boolean;
  readonly last_error: string | null;
}

/** What a move does to an order: `undefined` when it is refused. */
const moved = (
  order: Modelled | undefined,
  { move, off }: Move,
): Modelled | undefined => {
  if (order === undefined) {
    return move === "insert"
      ? {
          status: "PENDING",
          attempts: 0,
          begun: 0,
          isDue: true,
          last_error: null,
        }
      : undefined;
  }
  const isPending = order.status === "PENDING";
  const isUnderway = order.status === "PROCESSING" && off === 0;
  switch (move) {
    case "insert":
      return undefined;
    case "begin":
      return isPending && order.isDue
        ? {
            ...order,
            status: "PROCESSING",
            attempts: order.attempts + 1,
            begun: order.begun + 1,
          }
        : undefined;
    case "complete":
      return isUnderway ? { ...order, status: "COMPLETED" } : undefined;
    case "postpone":
    case "postpone for long":
      return isUnderway
        ? {
            ...order,
            status: "PENDING",
            isDue: move === "postpone",
            last_error: move,
          }
        : undefined;
    case "bury":
      return isUnderway
        ? { ...order, status: "FAILED", last_error: move }
        : undefined;
    case "release":
    case "release for long":
      return isUnderway
        ? {
            ...order,
            status: "PENDING",
            attempts: order.attempts - 1,
            isDue: move === "release",
          }
        : undefined;
    case "cancel":
      return isPending ? { ...order, status: "CANCELLED" } : undefined;
    case "retry":
      return order.status === "FAILED"
        ? { ...order, status: "PENDING", attempts: 0, isDue: true }
        : undefined;
  }
};

/** Makes a move; says whether the repository did it. */
const make = (
  repository: Repository,
  { move, off, order }: Move,
  begun: number,
) => {
  const order_id = id(order);
  const attempt = { order_id, attempt: begun + off };
  const fail = (wait: Duration.Duration | undefined) =>
    repository.fail({ ...attempt, error: move, wait });
  switch (move) {
    case "insert":
      return Effect.map(
        repository.insert(newOrder(order), partition),
        (placement) => placement.isNew,
      );
    case "begin":
      return Effect.map(
        beginOne(repository, order_id, firstEpoch),
        Option.isSome,
      );
    case "complete":
      return completeOne(repository, attempt);
    case "postpone":
      return fail(Duration.zero);
    case "postpone for long":
      return fail(Duration.hours(1));
    case "bury":
      return fail(undefined);
    case "release":
      return repository.release({ ...attempt, wait: Duration.zero });
    case "release for long":
      return repository.release({ ...attempt, wait: Duration.hours(1) });
    case "cancel":
      return Effect.map(repository.cancel(order_id), Option.isSome);
    case "retry":
      return Effect.map(repository.retry(order_id), Option.isSome);
  }
};

/** A law: it holds for any value of the schema, so many of them tried. */
const holds = <S extends Schema.Constraint, A, E, R>(
  schema: S,
  runs: number,
  law: (value: S["Type"]) => Effect.Effect<A, E, R>,
) =>
  Arbitrary.checkEffect(
    Arbitrary.schema(schema),
    (value) =>
      Effect.suspend(() => law(value)).pipe(
        Effect.as(true),
        Effect.catchCause((cause) => Effect.fail(Cause.squash(cause))),
        Effect.scoped,
      ),
    { runs, concurrency: 1 },
  ).pipe(
    Effect.map((result) =>
      assert.isUndefined(Arbitrary.formatCheckFailure(result)),
    ),
  );

// -- what is asked of a list -------------------------------------------------

const Asked = Schema.Struct({
  limit: Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 12 })),
  status: Schema.UndefinedOr(Schema.Array(OrderStatus)),
  user_id: Schema.UndefinedOr(Schema.Literals(["U1", "U2", "nobody"])),
  /** Bounds are the time of the order at this place, moved by this much. */
  after: Schema.UndefinedOr(
    Schema.Tuple([
      Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 29 })),
      Schema.Literals([-1, 0, 1]),
    ]),
  ),
  before: Schema.UndefinedOr(
    Schema.Tuple([
      Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 29 })),
      Schema.Literals([-1, 0, 1]),
    ]),
  ),
});

/** Thirty orders of two users in every status, many of the same moment. */
const populated = Effect.gen(function* () {
  const { pass, repository } = yield* subject;
  for (let moment = 0; moment < 5; moment++) {
    const ids = ["a", "b", "c", "d", "e", "f"].map(
      (name) => `${name}${moment}`,
    );
    yield* all(
      ids.map((order_id, index) =>
        repository.insert(
          newOrder(order_id, { user_id: index % 2 === 0 ? "U1" : "U2" }),
          partition,
        ),
      ),
    );
    const [begins, completes, fails, postpones, cancels] = ids;
    yield* all(
      [begins, completes, fails, postpones].map((order_id) =>
        beginOne(repository, id(order_id as string), firstEpoch),
      ),
    );
    const first = (order_id: string | undefined): Attempt => ({
      order_id: id(order_id as string),
      attempt: 1,
    });
    yield* completeOne(repository, first(completes));
    const error = "no";
    yield* repository.fail({ ...first(fails), error, wait: undefined });
    yield* repository.fail({
      ...first(postpones),
      error,
      wait: Duration.hours(1),
    });
    yield* repository.cancel(cancels as string);
    yield* pass("3 millis");
  }
  return repository;
});

/** Follows the pages of a list to their end. */
const pages = Effect.fnUntraced(function* (
  repository: Repository,
  query: OrderQuery,
) {
  const orders: Array<Order> = [];
  let after = query.after;
  while (true) {
    const page = yield* repository.list({ ...query, after });
    orders.push(...page.orders);
    if (page.end === undefined) return orders;
    assert.strictEqual(
      page.orders.length,
      query.limit,
      "a page with more behind it is full",
    );
    after = page.end;
  }
});

// -- the suite ---------------------------------------------------------------

export const orderRepositorySuite = <E>(
  name: string,
  layer: Layer.Layer<Subject, E>,
  options: {
    /** Sequences tried for each law: fewer where each step is slow. */
    readonly runs: number;
    /** Leave the time to Effect's own test clock. */
    readonly isOnTestClock: boolean;
  },
): void =>
  withLayer(layer, {
    excludeTestServices: !options.isOnTestClock,
    timeout: "60 seconds",
  })(name, (it) => {
    it.effect("is empty until the first order", () =>
      Effect.gen(function* () {
        const { repository } = yield* subject;
        assert.isTrue(yield* repository.isEmpty);
        assert.deepStrictEqual(yield* repository.list(everything), {
          orders: [],
          end: undefined,
        });
        yield* assertTallyIsCount(repository);
        yield* repository.insert(newOrder("A"), partition);
        assert.isFalse(yield* repository.isEmpty);
      }),
    );

    it.effect("counts the orders themselves, step by step", () =>
      Effect.gen(function* () {
        const { repository } = yield* subject;
        assert.deepStrictEqual(yield* counted(repository, 3), [0, 0]);
        for (let n = 1; n <= 7; n += 1) {
          yield* repository.insert(newOrder(`A${n}`), partition);
        }
        yield* repository.insert(newOrder("A1"), elsewhere);
        for (const limit of [1, 3, 7, 8]) {
          assert.deepStrictEqual(yield* counted(repository, limit), [7, 7]);
        }
      }),
    );

    // insert and find

    it.effect("takes a new order in as PENDING, never begun", () =>
      Effect.gen(function* () {
        const { repository } = yield* subject;
        const order = newOrder("A", { total_amount: 99.99 });
        const placement = yield* repository.insert(order, partition);
        assert.isTrue(placement.isNew);
        const { created_at, ...rest } = placement.order;
        assert.deepStrictEqual(rest, {
          ...order,
          status: "PENDING",
          updated_at: created_at,
          processing_started_at: null,
          processing_completed_at: null,
          attempts: 0,
          next_attempt_at: null,
          last_error: null,
        });
        assert.deepStrictEqual(
          shown(yield* found(repository, "A")),
          shown(placement.order),
        );
      }),
    );

    it.effect("finds nothing where nothing is", () =>
      Effect.gen(function* () {
        const { repository } = yield* subject;
        yield* repository.insert(newOrder("A"), partition);
        yield* repository.insert(newOrder("\ufffd"), partition);
        const strange = [
          "B",
          "a",
          "",
          " A",
          "%",
          "' OR true --",
          "A\0",
          "\ud800",
          "x".repeat(100_000),
        ];
        for (const order_id of strange) {
          const what = JSON.stringify(order_id.slice(0, 20));
          assert.isTrue(Option.isNone(yield* repository.find(order_id)), what);
          assert.isTrue(
            Option.isNone(yield* repository.cancel(order_id)),
            what,
          );
          assert.isTrue(Option.isNone(yield* repository.retry(order_id)), what);
        }
        assert.strictEqual((yield* repository.tally).counts.PENDING, 2);
      }),
    );

    it.effect("leaves the stored order as it is when its id comes again", () =>
      Effect.gen(function* () {
        const { pass, repository } = yield* subject;
        const first = yield* repository.insert(newOrder("A"), partition);
        yield* beginOne(repository, id("A"), firstEpoch);
        yield* pass("3 millis");
        const stored = yield* found(repository, "A");
        const same = yield* repository.insert(newOrder("A"), partition);
        const other = yield* repository.insert(
          newOrder("A", {
            user_id: "USER002",
            item_ids: ["ITEM002"],
            total_amount: 1,
          }),
          elsewhere,
        );
        for (const placement of [same, other]) {
          assert.isFalse(placement.isNew);
          assert.deepStrictEqual(shown(placement.order), shown(stored));
        }
        assert.deepStrictEqual(
          shown(yield* found(repository, "A")),
          shown(stored),
        );
        assert.strictEqual(
          stored.created_at.epochMilliseconds,
          first.order.created_at.epochMilliseconds,
        );
        assert.deepStrictEqual(yield* underwayIn(repository, elsewhere), []);
      }),
    );

    it.effect("places the same id once when it comes twice at once", () =>
      Effect.gen(function* () {
        const { repository } = yield* subject;
        const placements = yield* all([
          repository.insert(newOrder("A", { total_amount: 1 }), partition),
          repository.insert(newOrder("A", { total_amount: 2 }), partition),
          repository.insert(newOrder("B"), partition),
          repository.insert(newOrder("A", { total_amount: 1 }), partition),
        ]);
        const ofA = placements.filter((_) => _.order.order_id === "A");
        assert.strictEqual(ofA.filter((_) => _.isNew).length, 1);
        const stored = yield* found(repository, "A");
        for (const { order } of ofA) {
          assert.deepStrictEqual(shown(order), shown(stored));
        }
        yield* assertTallyIsCount(repository);
      }),
    );

    it.effect("places each of 1000 orders with overlapping ids once", () =>
      Effect.gen(function* () {
        const { repository } = yield* subject;
        const placements = yield* all(
          Array.from({ length: 1000 }, (_, index) =>
            repository.insert(
              newOrder(`O${(index * 7) % 400}`, { total_amount: index + 1 }),
              Partition.make(index % 32),
            ),
          ),
        );
        const placed = new Map<string, number>();
        for (const { isNew, order } of placements) {
          if (!isNew) continue;
          assert.isFalse(placed.has(order.order_id), "placed once");
          placed.set(order.order_id, order.total_amount);
        }
        assert.strictEqual(placed.size, 400);
        for (const { order } of placements) {
          assert.strictEqual(placed.get(order.order_id), order.total_amount);
        }
        const { orders } = yield* repository.list(everything);
        assert.deepStrictEqual(
          new Map(orders.map((_) => [_.order_id as string, _.total_amount])),
          placed as Map<string, TotalAmount>,
        );
        yield* assertTallyIsCount(repository);
      }),
    );

    manyPlacingsSuite({
      it,
      fresh: Effect.map(subject, ({ repository }) => repository),
      newOrder,
      assertTallyIsCount,
      holds,
      runs: options.runs,
    });

    it.effect("keeps amounts to the cent", () =>
      Effect.gen(function* () {
        const { repository } = yield* subject;
        const amounts = [
          0.01, 0.07, 0.29, 1, 1.1, 4.35, 1234567.89, 99999999.98, 99999999.99,
        ];
        yield* all(
          amounts.map((total_amount, index) =>
            repository.insert(
              newOrder(`A${index}`, { total_amount }),
              partition,
            ),
          ),
        );
        for (const [index, amount] of amounts.entries()) {
          const order = yield* found(repository, `A${index}`);
          assert.strictEqual(order.total_amount, amount);
        }
      }),
    );

    it.effect("keeps items exactly as they were given", () =>
      Effect.gen(function* () {
        const { repository } = yield* subject;
        const given: ReadonlyArray<ReadonlyArray<unknown>> = [
          [1, -1.5, 1e21, 9007199254740991, true, false, "", "0"],
          [
            "'",
            '"',
            "\\",
            "\\\\",
            "{",
            "}",
            ",",
            "NULL",
            "null",
            "$1",
            "'; --",
          ],
          [
            "tab\t",
            "line\nbreak",
            "\u2028",
            "é",
            "e\u0301",
            "日本語",
            "👩‍👩‍👧",
            "\u{10ffff}",
          ],
          [{ z: 1, a: [null, { "": {} }], 'k"\\': ["'"] }, [], [[[]]], {}],
          [JSON.parse('{"__proto__": {"a": 1}, "constructor": 2}')],
          [
            { sku: "b", n: 2 },
            { n: 2, sku: "b" },
          ],
          Array.from({ length: 1000 }, (_, index) => ({
            item: `ITEM${index}`,
            note: "x".repeat(200),
          })),
        ];
        const placements = yield* all(
          given.map((item_ids, index) =>
            repository.insert(newOrder(`A${index}`, { item_ids }), partition),
          ),
        );
        for (const [index, items] of given.entries()) {
          const order = yield* found(repository, `A${index}`);
          // As text, so that the order of keys counts too.
          assert.strictEqual(
            JSON.stringify(order.item_ids),
            JSON.stringify(items),
          );
          assert.deepStrictEqual(placements[index]?.order.item_ids, items);
          const again = yield* repository.insert(
            newOrder(`A${index}`, { item_ids: items }),
            partition,
          );
          assert.isFalse(again.isNew);
          assert.deepStrictEqual(again.order.item_ids, order.item_ids);
        }
      }),
    );

    it.effect("keeps ids of any script apart", () =>
      Effect.gen(function* () {
        const { repository } = yield* subject;
        const ids = [
          "a",
          "A",
          "á",
          "a\u0301",
          "ａ",
          "10",
          "9",
          "😀",
          "\ufb01",
          "fi",
        ];
        yield* all(
          ids.map((order_id) =>
            repository.insert(
              newOrder(order_id, { user_id: order_id }),
              partition,
            ),
          ),
        );
        for (const order_id of ids) {
          const order = yield* found(repository, order_id);
          assert.strictEqual(order.order_id, order_id);
          const { orders } = yield* repository.list({
            limit: 10,
            user_id: UserId.make(order_id),
          });
          assert.deepStrictEqual(
            orders.map((_) => _.order_id as string),
            [order_id],
          );
        }
      }),
    );

    it.effect("answers each of many that ask at once for its own order", () =>
      Effect.gen(function* () {
        const { repository } = yield* subject;
        yield* all(
          Array.from({ length: 50 }, (_, index) =>
            repository.insert(newOrder(`A${index}`), partition),
          ),
        );
        const ids = Array.from({ length: 300 }, (_, index) => `A${index % 60}`);
        const answers = yield* all(
          ids.map((order_id) => repository.find(order_id)),
        );
        for (const [index, order_id] of ids.entries()) {
          assert.strictEqual(
            Option.getOrUndefined(answers[index] as Option.Option<Order>)
              ?.order_id,
            index % 60 < 50 ? id(order_id) : undefined,
          );
        }
      }),
    );

    // list

    it.effect("lists the newest first", () =>
      Effect.gen(function* () {
        const { pass, repository } = yield* subject;
        for (const order_id of ["A", "B", "C"]) {
          yield* repository.insert(newOrder(order_id), partition);
          yield* pass("3 millis");
        }
        // What is done to an order does not move it in the list.
        yield* beginOne(repository, id("A"), firstEpoch);
        const { end, orders } = yield* repository.list({ limit: 3 });
        assert.deepStrictEqual(
          orders.map((_) => _.order_id as string),
          ["C", "B", "A"],
        );
        assert.isUndefined(end, "there is nothing behind the third");
        const two = yield* repository.list({ limit: 2 });
        assert.deepStrictEqual(
          two.orders.map((_) => _.order_id as string),
          ["C", "B"],
        );
        assert.isDefined(two.end);
      }),
    );

    it.effect("pages over orders of the same moment, each once", () =>
      Effect.gen(function* () {
        const { repository } = yield* subject;
        yield* all(
          Array.from({ length: 60 }, (_, index) =>
            repository.insert(newOrder(`A${index}`), partition),
          ),
        );
        const whole = (yield* repository.list(everything)).orders;
        for (const limit of [1, 7, 59, 60, 61]) {
          const orders = yield* pages(repository, { limit });
          assert.deepStrictEqual(
            orders.map((_) => _.order_id),
            whole.map((_) => _.order_id),
          );
        }
      }),
    );

    it.effect("ends a page early when its items take too much", () =>
      Effect.gen(function* () {
        const { repository } = yield* subject;
        const large = "x".repeat(300_000);
        for (const name of ["A", "B", "C", "D", "E", "F"]) {
          yield* repository.insert(
            newOrder(name, { item_ids: [large] }),
            partition,
          );
        }
        const first = yield* repository.list(everything);
        // The fourth goes beyond a mebibyte, and is the last.
        assert.deepStrictEqual(
          first.orders.map(({ order_id }) => order_id),
          ["F", "E", "D", "C"],
        );
        const second = yield* repository.list({
          ...everything,
          after: first.end,
        });
        assert.deepStrictEqual(
          second.orders.map(({ order_id }) => order_id),
          ["B", "A"],
        );
        assert.isUndefined(second.end);
      }),
    );

    it.effect("keeps its pages while newer orders come in", () =>
      Effect.gen(function* () {
        const { pass, repository } = yield* subject;
        for (const order_id of ["A", "B", "C", "D"]) {
          yield* repository.insert(newOrder(order_id), partition);
          yield* pass("3 millis");
        }
        const first = yield* repository.list({ limit: 2 });
        yield* repository.insert(newOrder("E"), partition);
        const second = yield* repository.list({ limit: 2, after: first.end });
        assert.deepStrictEqual(
          second.orders.map((_) => _.order_id as string),
          ["B", "A"],
        );
        assert.isUndefined(second.end);
      }),
    );

    it.effect("takes any time as a bound", () =>
      Effect.gen(function* () {
        const { repository } = yield* subject;
        yield* repository.insert(newOrder("A"), partition);
        const first = DateTime.makeUnsafe(-8.64e15);
        const last = DateTime.makeUnsafe(8.64e15);
        const list = (query: Partial<OrderQuery>) =>
          Effect.map(
            repository.list({ limit: 10, ...query }),
            (page) => page.orders.length,
          );
        assert.strictEqual(yield* list({ created_after: first }), 1);
        assert.strictEqual(yield* list({ created_before: last }), 1);
        assert.strictEqual(yield* list({ created_before: first }), 0);
        assert.strictEqual(yield* list({ created_after: last }), 0);
        for (const [seq, orders] of [
          [0n, 0],
          [2n ** 63n - 1n, 1],
        ] as const) {
          assert.strictEqual(yield* list({ after: { seq } }), orders);
        }
      }),
    );

    it.effect(
      "lists by any filters what a look through all orders would find",
      () =>
        Effect.gen(function* () {
          const repository = yield* populated;
          const whole = (yield* repository.list(everything)).orders;
          assert.strictEqual(whole.length, 30);
          for (const [index, order] of whole.entries()) {
            const newer = whole[index - 1] ?? order;
            assert.isAtMost(
              order.created_at.epochMilliseconds,
              newer.created_at.epochMilliseconds,
            );
          }
          assert.deepStrictEqual(
            new Set(whole.map((_) => _.status)),
            new Set(OrderStatus.literals),
          );
          const bound = (place: readonly [number, number] | undefined) =>
            place === undefined
              ? undefined
              : DateTime.add((whole[place[0]] as Order).created_at, {
                  milliseconds: place[1],
                });
          yield* holds(Asked, options.runs * 5, (asked) => {
            const query: OrderQuery = {
              limit: asked.limit,
              status: asked.status,
              user_id:
                asked.user_id === undefined
                  ? undefined
                  : UserId.make(asked.user_id),
              created_after: bound(asked.after),
              created_before: bound(asked.before),
            };
            const { created_after, created_before, status, user_id } = query;
            const expected = whole.filter(
              (order) =>
                (status === undefined ||
                  status.length === 0 ||
                  status.includes(order.status)) &&
                (user_id === undefined || user_id === order.user_id) &&
                (created_after === undefined ||
                  DateTime.isGreaterThanOrEqualTo(
                    order.created_at,
                    created_after,
                  )) &&
                (created_before === undefined ||
                  DateTime.isLessThan(order.created_at, created_before)),
            );
            return Effect.map(pages(repository, query), (orders) =>
              assert.deepStrictEqual(orders.map(shown), expected.map(shown)),
            );
          });
        }),
    );

    // begin

    it.effect("begins a due PENDING order and counts the attempt", () =>
      Effect.gen(function* () {
        const { pass, repository } = yield* subject;
        const { order: placed } = yield* repository.insert(
          newOrder("A"),
          partition,
        );
        yield* pass("3 millis");
        const order = Option.getOrThrow(
          yield* beginOne(repository, id("A"), firstEpoch),
        ).order;
        assert.strictEqual(order.status, "PROCESSING");
        assert.strictEqual(order.attempts, 1);
        assert.isTrue(
          order.processing_started_at !== null &&
            DateTime.isGreaterThan(
              order.processing_started_at,
              placed.created_at,
            ),
        );
        assert.deepStrictEqual(order.updated_at, order.processing_started_at);
        assert.deepStrictEqual(
          shown(yield* found(repository, "A")),
          shown(order),
        );
        yield* assertTallyIsCount(repository);
      }),
    );

    it.effect(
      "begins no order that is not PENDING, not due, or not there",
      () =>
        Effect.gen(function* () {
          const { repository } = yield* subject;
          const error = "no";
          yield* begun(repository, "processing");
          yield* completeOne(repository, yield* begun(repository, "completed"));
          const failed = yield* begun(repository, "failed");
          yield* repository.fail({ ...failed, error, wait: undefined });
          const waiting = yield* begun(repository, "waiting");
          yield* repository.fail({
            ...waiting,
            error,
            wait: Duration.hours(1),
          });
          yield* repository.insert(newOrder("cancelled"), partition);
          yield* repository.cancel("cancelled");
          const before = (yield* repository.list(everything)).orders.map(shown);
          assert.strictEqual(before.length, 5);
          const answers = yield* all(
            [...before.map((_) => _.order_id), "nobody"].map((order_id) =>
              beginOne(repository, id(order_id), firstEpoch),
            ),
          );
          assert.isTrue(answers.every(Option.isNone));
          assert.deepStrictEqual(
            (yield* repository.list(everything)).orders.map(shown),
            before,
          );
        }),
    );

    it.effect("begins an attempt once when it is begun twice at once", () =>
      Effect.gen(function* () {
        const { repository } = yield* subject;
        const ids = Array.from({ length: 100 }, (_, index) => id(`A${index}`));
        yield* all(
          ids.map((order_id) =>
            repository.insert(newOrder(order_id), partition),
          ),
        );
        const answers = yield* all(
          [...ids, ...ids.toReversed(), ...ids].map((order_id) =>
            beginOne(repository, order_id, firstEpoch),
          ),
        );
        const won = answers.flatMap(Option.toArray);
        assert.deepStrictEqual(
          new Set(won.map((_) => _.order.order_id)),
          new Set(ids),
        );
        assert.strictEqual(won.length, ids.length);
        assert.isTrue(won.every((_) => _.order.attempts === 1));
        const { orders } = yield* repository.list(everything);
        assert.isTrue(orders.every((_) => _.attempts === 1));
        yield* assertTallyIsCount(repository);
      }),
    );

    // complete, fail and release

    it.effect("completes the attempt under way, once", () =>
      Effect.gen(function* () {
        const { pass, repository } = yield* subject;
        const attempt = yield* begun(repository, "A");
        yield* pass("20 millis");
        assert.isTrue(yield* completeOne(repository, attempt));
        const order = yield* found(repository, "A");
        assert.strictEqual(order.status, "COMPLETED");
        assert.strictEqual(order.attempts, 1);
        assert.deepStrictEqual(order.processing_completed_at, order.updated_at);
        assert.isFalse(yield* completeOne(repository, attempt));
        assert.deepStrictEqual(
          shown(yield* found(repository, "A")),
          shown(order),
        );
        assert.isAtLeast((yield* repository.tally).processingSeconds, 0.02);
        yield* assertTallyIsCount(repository);
      }),
    );

    it.effect("makes a failed attempt's order wait, then due again", () =>
      Effect.gen(function* () {
        const { pass, repository } = yield* subject;
        const attempt = yield* begun(repository, "A");
        const wait = Duration.millis(50);
        assert.isTrue(
          yield* repository.fail({ ...attempt, error: "at first", wait }),
        );
        const order = yield* found(repository, "A");
        assert.strictEqual(order.status, "PENDING");
        assert.strictEqual(order.attempts, 1);
        assert.strictEqual(order.last_error, "at first");
        assert.isNotNull(order.processing_started_at);
        assert.closeTo(
          DateTime.toEpochMillis(order.next_attempt_at as DateTime.Utc),
          DateTime.toEpochMillis(order.updated_at) + 50,
          1,
        );
        yield* pass("60 millis");
        assert.deepStrictEqual(yield* dueIn(repository, partition), [id("A")]);
        const second = Option.getOrThrow(
          yield* beginOne(repository, id("A"), firstEpoch),
        ).order;
        assert.strictEqual(second.attempts, 2);
        assert.isNull(second.next_attempt_at);
        assert.strictEqual(second.last_error, "at first");
        yield* assertTallyIsCount(repository);
      }),
    );

    it.effect("makes an order due at once when it is to wait for nothing", () =>
      Effect.gen(function* () {
        const { repository } = yield* subject;
        const attempt = yield* begun(repository, "A");
        const failure = { ...attempt, error: "no", wait: Duration.zero };
        assert.isTrue(yield* repository.fail(failure));
        assert.deepStrictEqual(yield* dueIn(repository, partition), [id("A")]);
        const order = Option.getOrThrow(
          yield* beginOne(repository, id("A"), firstEpoch),
        ).order;
        assert.strictEqual(order.attempts, 2);
      }),
    );

    it.effect("buries an order that failed for good", () =>
      Effect.gen(function* () {
        const { repository } = yield* subject;
        const attempt = yield* begun(repository, "A");
        assert.isTrue(
          yield* repository.fail({
            ...attempt,
            error: "for good",
            wait: undefined,
          }),
        );
        const order = yield* found(repository, "A");
        assert.strictEqual(order.status, "FAILED");
        assert.strictEqual(order.last_error, "for good");
        assert.isNull(order.next_attempt_at);
        assert.isNull(order.processing_completed_at);
        assert.deepStrictEqual(yield* dueIn(repository, partition), []);
        yield* assertTallyIsCount(repository);
      }),
    );

    it.effect("keeps whatever words a failure comes with", () =>
      Effect.gen(function* () {
        const { repository } = yield* subject;
        const errors = [
          "",
          'it\'s "so" \\ {bad}, $1 NULL',
          "null",
          "日本語 👩‍👩‍👧",
          "x".repeat(100_000),
        ];
        // What no database can keep as text is kept as near as can be.
        const broken = ["NUL \0 byte", "half of a pair: \ud83d"];
        yield* all(
          [...errors, ...broken].map((error, index) =>
            Effect.gen(function* () {
              const attempt = yield* begun(repository, `A${index}`);
              const wait = index % 2 === 0 ? undefined : Duration.zero;
              assert.isTrue(
                yield* repository.fail({ ...attempt, error, wait }),
              );
            }),
          ),
        );
        for (const [index, error] of errors.entries()) {
          const order = yield* found(repository, `A${index}`);
          assert.strictEqual(order.last_error, error);
        }
        for (const [index, start] of ["NUL ", "half of a pair: "].entries()) {
          const order = yield* found(repository, `A${errors.length + index}`);
          assert.isTrue(order.last_error?.startsWith(start));
        }
      }),
    );

    it.effect("gives a released order back with its attempt refunded", () =>
      Effect.gen(function* () {
        const { repository } = yield* subject;
        const attempt = yield* begun(repository, "A");
        assert.isTrue(
          yield* repository.release({ ...attempt, wait: Duration.zero }),
        );
        const order = yield* found(repository, "A");
        assert.strictEqual(order.status, "PENDING");
        assert.strictEqual(order.attempts, 0);
        assert.isNull(order.next_attempt_at);
        assert.isNull(order.last_error);
        assert.deepStrictEqual(yield* dueIn(repository, partition), [id("A")]);
        assert.isFalse(
          yield* repository.release({ ...attempt, wait: Duration.zero }),
        );
        const again = Option.getOrThrow(
          yield* beginOne(repository, id("A"), firstEpoch),
        ).order;
        assert.strictEqual(again.attempts, 1);
        yield* assertTallyIsCount(repository);
      }),
    );

    it.effect("keeps why an attempt was not made, until it knows better", () =>
      Effect.gen(function* () {
        const { repository } = yield* subject;
        const wait = Duration.zero;
        const first = yield* begun(repository, "A");
        yield* repository.release({ ...first, wait, error: "away\0" });
        assert.strictEqual(
          (yield* found(repository, "A")).last_error?.replace("\0", "\ufffd"),
          "away\ufffd",
        );
        yield* beginOne(repository, id("A"), firstEpoch);
        const second = { order_id: id("A"), attempt: first.attempt + 1 };
        yield* repository.release({ ...second, wait });
        const order = yield* found(repository, "A");
        assert.match(order.last_error ?? "", /^away/);
        assert.strictEqual(order.attempts, 0);
      }),
    );

    it.effect("makes a released order wait as long as it is told to", () =>
      Effect.gen(function* () {
        const { pass, repository } = yield* subject;
        const attempt = yield* begun(repository, "A");
        const wait = Duration.millis(200);
        assert.isTrue(yield* repository.release({ ...attempt, wait }));
        assert.deepStrictEqual(yield* dueIn(repository, partition), []);
        assert.isTrue(
          Option.isNone(yield* beginOne(repository, id("A"), firstEpoch)),
        );
        yield* pass("210 millis");
        assert.deepStrictEqual(yield* dueIn(repository, partition), [id("A")]);
        const order = Option.getOrThrow(
          yield* beginOne(repository, id("A"), firstEpoch),
        ).order;
        assert.strictEqual(order.attempts, 1);
        yield* assertTallyIsCount(repository);
      }),
    );

    it.effect("changes nothing for an attempt that is not under way", () =>
      Effect.gen(function* () {
        const { repository } = yield* subject;
        const error = "stale";
        const attempt = yield* begun(repository, "A");
        yield* repository.fail({
          ...attempt,
          error: "first",
          wait: Duration.zero,
        });
        yield* beginOne(repository, id("A"), firstEpoch);
        yield* repository.insert(newOrder("pending"), partition);
        yield* completeOne(repository, yield* begun(repository, "completed"));
        yield* repository.fail({
          ...(yield* begun(repository, "failed")),
          error: "first",
          wait: undefined,
        });
        const before = (yield* repository.list(everything)).orders.map(shown);
        const stale: ReadonlyArray<Attempt> = [
          attempt,
          { ...attempt, attempt: 0 },
          { ...attempt, attempt: 3 },
          { order_id: id("pending"), attempt: 0 },
          { order_id: id("pending"), attempt: 1 },
          { order_id: id("completed"), attempt: 1 },
          { order_id: id("failed"), attempt: 1 },
          { order_id: id("nobody"), attempt: 1 },
        ];
        const answers = yield* all(
          stale.flatMap((attempt) => [
            completeOne(repository, attempt),
            repository.fail({ ...attempt, error, wait: undefined }),
            repository.fail({ ...attempt, error, wait: Duration.zero }),
            repository.release({ ...attempt, wait: Duration.zero }),
          ]),
        );
        assert.deepStrictEqual(new Set(answers), new Set([false]));
        assert.deepStrictEqual(
          (yield* repository.list(everything)).orders.map(shown),
          before,
        );
        yield* assertTallyIsCount(repository);
      }),
    );

    it.effect(
      "tells a stale attempt from the one under way, told together",
      () =>
        Effect.gen(function* () {
          const { repository } = yield* subject;
          const second = Effect.fnUntraced(function* (order_id: string) {
            const attempt = yield* begun(repository, order_id);
            const failure = { ...attempt, error: "no", wait: Duration.zero };
            yield* repository.fail(failure);
            yield* beginOne(repository, attempt.order_id, firstEpoch);
            return { ...attempt, attempt: 2 };
          });
          const ends: ReadonlyArray<
            (attempt: Attempt) => ReturnType<Repository["fail"]>
          > = [
            (_) => completeOne(repository, _),
            (_) => repository.release({ ..._, wait: Duration.zero }),
            (_) => repository.fail({ ..._, error: "no", wait: undefined }),
            (_) => repository.fail({ ..._, error: "no", wait: Duration.zero }),
          ];
          for (const [index, end] of ends.entries()) {
            const attempt = yield* second(`A${index}`);
            assert.deepStrictEqual(
              yield* all(
                [1, 2, 3, 2].map((number) =>
                  end({ ...attempt, attempt: number }),
                ),
              ),
              [false, true, false, false],
            );
          }
          yield* assertTallyIsCount(repository);
        }),
    );

    it.effect("ends an attempt once when all its ends come at once", () =>
      Effect.gen(function* () {
        const { repository } = yield* subject;
        const error = "no";
        const attempts = yield* all(
          Array.from({ length: 60 }, (_, index) =>
            begun(repository, `A${index}`),
          ),
        );
        const answers = yield* all(
          attempts.map((attempt) =>
            all([
              completeOne(repository, attempt),
              repository.fail({ ...attempt, error, wait: undefined }),
              repository.fail({ ...attempt, error, wait: Duration.hours(1) }),
              repository.release({ ...attempt, wait: Duration.zero }),
              completeOne(repository, attempt),
            ]),
          ),
        );
        for (const ends of answers) {
          assert.strictEqual(ends.filter((_) => _).length, 1);
        }
        yield* assertTallyIsCount(repository);
      }),
    );

    it.effect("gives no attempt the number of another", () =>
      Effect.gen(function* () {
        const { repository } = yield* subject;
        const begin = Effect.map(
          beginOne(repository, id("A"), firstEpoch),
          Option.getOrThrow,
        );
        const first = yield* begun(repository, "A");
        yield* repository.release({ ...first, wait: Duration.zero });
        const second = yield* begin;
        assert.strictEqual(second.attempt, 2);
        assert.strictEqual(second.order.attempts, 1, "one was not made");
        yield* repository.fail({
          order_id: id("A"),
          attempt: 2,
          error: "no",
          wait: undefined,
        });
        yield* repository.retry("A");
        const third = yield* begin;
        assert.strictEqual(third.attempt, 3);
        assert.strictEqual(third.order.attempts, 1, "the retry forgave");
        for (const attempt of [1, 2]) {
          const stale = { order_id: id("A"), attempt };
          assert.isFalse(yield* completeOne(repository, stale));
          assert.isFalse(
            yield* repository.release({ ...stale, wait: Duration.zero }),
          );
        }
        assert.isTrue(
          yield* completeOne(repository, { order_id: id("A"), attempt: 3 }),
        );
      }),
    );

    // who owns a partition

    it.effect(
      "gives each that takes a partition over an epoch of its own",
      () =>
        Effect.gen(function* () {
          const { repository } = yield* subject;
          const epochs = yield* all(
            Array.from({ length: 10 }, () => claimed(repository, partition)),
          );
          assert.deepStrictEqual(
            epochs.toSorted((a, b) => a - b),
            Array.from({ length: 10 }, (_, index) => firstEpoch + 1 + index),
          );
          assert.strictEqual(
            yield* repository.epoch(partition),
            firstEpoch + 10,
          );
          assert.strictEqual(yield* repository.epoch(elsewhere), firstEpoch);
          assert.strictEqual(
            yield* claimed(repository, elsewhere),
            firstEpoch + 1,
          );
        }),
    );

    it.effect("lets the former owner of a partition begin nothing", () =>
      Effect.gen(function* () {
        const { repository } = yield* subject;
        const former = yield* claimed(repository, partition);
        yield* repository.insert(newOrder("A"), partition);
        yield* repository.insert(newOrder("B"), partition);
        yield* repository.insert(newOrder("E"), elsewhere);
        assert.isTrue(
          Option.isSome(yield* beginOne(repository, id("A"), former)),
        );
        const owner = yield* claimed(repository, partition);
        assert.isTrue(
          Option.isNone(yield* beginOne(repository, id("B"), former)),
        );
        const answers = yield* all(
          [former, owner, owner, former, owner + 1].map((epoch) =>
            beginOne(repository, id("B"), epoch),
          ),
        );
        assert.deepStrictEqual(answers.map(Option.isSome), [
          false,
          true,
          false,
          false,
          false,
        ]);
        // Another partition is another's, and was not taken over.
        assert.isTrue(
          Option.isSome(yield* beginOne(repository, id("E"), firstEpoch)),
        );
        yield* assertTallyIsCount(repository);
      }),
    );

    it.effect("lets only the owner of a partition take back attempts", () =>
      Effect.gen(function* () {
        const { repository } = yield* subject;
        const lost = { error: "lost", wait: Duration.zero };
        const one = yield* begun(repository, "A");
        const two = yield* begun(repository, "B");
        const former = yield* claimed(repository, partition);
        const epoch = yield* claimed(repository, partition);
        assert.deepStrictEqual(
          yield* all([
            repository.fail({ ...one, ...lost, epoch: former }),
            repository.fail({ ...one, ...lost, epoch: firstEpoch }),
            repository.fail({ ...one, ...lost, epoch: epoch + 1 }),
          ]),
          [false, false, false],
        );
        assert.isTrue(yield* repository.fail({ ...one, ...lost, epoch }));
        assert.strictEqual((yield* found(repository, "A")).status, "PENDING");
        // Work that was begun may be ended by who began it, until taken back.
        assert.isFalse(yield* completeOne(repository, one));
        assert.isTrue(yield* completeOne(repository, two));
        yield* assertTallyIsCount(repository);
      }),
    );

    // cancel and retry

    it.effect("cancels a PENDING order, once, and no other", () =>
      Effect.gen(function* () {
        const { repository } = yield* subject;
        yield* repository.insert(newOrder("A"), partition);
        const order = Option.getOrThrow(yield* repository.cancel("A"));
        assert.strictEqual(order.status, "CANCELLED");
        assert.deepStrictEqual(
          shown(yield* found(repository, "A")),
          shown(order),
        );
        assert.isTrue(Option.isNone(yield* repository.cancel("A")));
        assert.deepStrictEqual(yield* dueIn(repository, partition), []);

        const attempt = yield* begun(repository, "B");
        assert.isTrue(Option.isNone(yield* repository.cancel("B")));
        yield* completeOne(repository, attempt);
        assert.isTrue(Option.isNone(yield* repository.cancel("B")));
        yield* assertTallyIsCount(repository);
      }),
    );

    it.effect("cancels an order that waits for its next attempt", () =>
      Effect.gen(function* () {
        const { repository } = yield* subject;
        const attempt = yield* begun(repository, "A");
        const wait = Duration.hours(1);
        yield* repository.fail({ ...attempt, error: "no", wait });
        const order = Option.getOrThrow(yield* repository.cancel("A"));
        assert.strictEqual(order.status, "CANCELLED");
        assert.strictEqual(order.attempts, 1);
        assert.isNull(order.next_attempt_at);
      }),
    );

    it.effect("lets either cancel or begin win, whenever they meet", () =>
      Effect.gen(function* () {
        const { repository } = yield* subject;
        for (let round = 0; round < 10; round++) {
          const ids = Array.from({ length: 30 }, (_, index) =>
            id(`${round}-${index}`),
          );
          yield* all(
            ids.map((order_id) =>
              repository.insert(newOrder(order_id), partition),
            ),
          );
          const outcomes = yield* all(
            ids.map((order_id, index) => {
              const begin = Effect.map(
                beginOne(repository, order_id, firstEpoch),
                Option.isSome,
              );
              const cancel = Effect.map(
                repository.cancel(order_id),
                Option.isSome,
              );
              return index % 2 === 0
                ? all([begin, cancel])
                : Effect.map(all([cancel, begin]), (_) => _.toReversed());
            }),
          );
          for (const [index, [begin, cancel]] of outcomes.entries()) {
            const order = yield* found(repository, ids[index] as string);
            assert.strictEqual(
              order.status,
              begin ? "PROCESSING" : "CANCELLED",
            );
            assert.notStrictEqual(begin, cancel);
          }
        }
        yield* assertTallyIsCount(repository);
      }),
    );

    it.effect("takes a FAILED order up again with no attempts", () =>
      Effect.gen(function* () {
        const { repository } = yield* subject;
        yield* repository.insert(newOrder("A"), elsewhere);
        yield* beginOne(repository, id("A"), firstEpoch);
        const attempt = { order_id: id("A"), attempt: 1 };
        yield* repository.fail({ ...attempt, error: "no", wait: undefined });
        const retried = Option.getOrThrow(yield* repository.retry("A"));
        assert.strictEqual(retried.partition, elsewhere);
        assert.strictEqual(retried.order.status, "PENDING");
        assert.strictEqual(retried.order.attempts, 0);
        assert.isNull(retried.order.next_attempt_at);
        assert.strictEqual(retried.order.last_error, "no");
        assert.deepStrictEqual(
          shown(yield* found(repository, "A")),
          shown(retried.order),
        );
        assert.isTrue(Option.isNone(yield* repository.retry("A")));
        assert.deepStrictEqual(yield* dueIn(repository, elsewhere), [id("A")]);
        const order = Option.getOrThrow(
          yield* beginOne(repository, id("A"), firstEpoch),
        ).order;
        assert.strictEqual(order.attempts, 1);
        yield* assertTallyIsCount(repository);
      }),
    );

    it.effect("retries no order that is not FAILED", () =>
      Effect.gen(function* () {
        const { repository } = yield* subject;
        const attempt = yield* begun(repository, "A");
        assert.isTrue(Option.isNone(yield* repository.retry("A")));
        yield* completeOne(repository, attempt);
        assert.isTrue(Option.isNone(yield* repository.retry("A")));
        yield* repository.insert(newOrder("B"), partition);
        assert.isTrue(Option.isNone(yield* repository.retry("B")));
        yield* repository.cancel("B");
        assert.isTrue(Option.isNone(yield* repository.retry("B")));
        yield* assertTallyIsCount(repository);
      }),
    );

    it.effect("retries many FAILED orders, the oldest first", () =>
      Effect.gen(function* () {
        const { pass, repository } = yield* subject;
        const bury = Effect.fnUntraced(function* (
          order_id: string,
          user_id: string,
        ) {
          const { order } = yield* repository.insert(
            newOrder(order_id, { user_id }),
            elsewhere,
          );
          yield* beginOne(repository, order.order_id, firstEpoch);
          yield* repository.fail({
            order_id: order.order_id,
            attempt: 1,
            error: "no",
            wait: undefined,
          });
          yield* pass("3 millis");
          return order;
        });
        for (const order_id of ["D", "C", "B"]) yield* bury(order_id, "U1");
        const middle = yield* bury("A", "U2");
        yield* bury("E", "U1");
        yield* repository.insert(newOrder("pending"), partition);
        yield* completeOne(repository, yield* begun(repository, "completed"));

        const retried = (query: ManyQuery) =>
          Effect.map(repository.retryMany(query), ({ orders }) =>
            orders
              .map(({ item_bytes, order_id, partition }) => {
                assert.strictEqual(partition, elsewhere);
                assert.isAbove(item_bytes, 0);
                return order_id;
              })
              .sort()
              .join(" "),
          );
        assert.strictEqual(yield* retried({ limit: 1 }), "D");
        const { attempts, status } = yield* found(repository, "D");
        assert.deepStrictEqual([status, attempts], ["PENDING", 0]);
        assert.strictEqual(
          yield* retried({ limit: 9, user_id: UserId.make("nobody") }),
          "",
        );
        assert.strictEqual(
          yield* retried({
            limit: 9,
            user_id: UserId.make("U1"),
            created_before: middle.created_at,
          }),
          "B C",
        );
        assert.strictEqual(
          yield* retried({ limit: 9, created_before: middle.created_at }),
          "",
        );
        assert.strictEqual(yield* retried({ limit: 9 }), "A E");
        assert.strictEqual(yield* retried({ limit: 9 }), "");
        yield* assertTallyIsCount(repository);
      }),
    );

    it.effect("retries an order once when many ask at once", () =>
      Effect.gen(function* () {
        const { repository } = yield* subject;
        const attempts = yield* all(
          Array.from({ length: 40 }, (_, index) =>
            begun(repository, `A${index}`),
          ),
        );
        yield* all(
          attempts.map((attempt) =>
            repository.fail({ ...attempt, error: "no", wait: undefined }),
          ),
        );
        const single = all(
          attempts.map(({ order_id }) => repository.retry(order_id)),
        );
        const [many, more, one, again] = yield* Effect.all(
          [
            repository.retryMany({ limit: 25 }),
            repository.retryMany({ limit: 25 }),
            single,
            single,
          ],
          { concurrency: "unbounded" },
        );
        const ids = [
          ...many.orders,
          ...more.orders,
          ...one.flatMap(Option.toArray),
          ...again.flatMap(Option.toArray),
        ].map(({ order_id }) => order_id);
        assert.strictEqual(ids.length, attempts.length);
        assert.strictEqual(new Set(ids).size, attempts.length);
        yield* assertTallyIsCount(repository);
      }),
    );

    it.effect(
      "retries those of one error, and says whether there are more",
      () =>
        Effect.gen(function* () {
          const { repository } = yield* subject;
          const errors = ["no", "never", "no", "no", "No"];
          for (const [index, error] of errors.entries()) {
            const attempt = yield* begun(repository, `A${index}`);
            yield* repository.fail({ ...attempt, error, wait: undefined });
          }
          const retried = (query: ManyQuery) =>
            Effect.map(repository.retryMany(query), ({ more, orders }) => [
              orders.map(({ order_id }) => order_id).toSorted(),
              more,
            ]);
          const count = repository.countMatching(
            { status: "FAILED", error: "no" },
            2,
          );
          // From an order on, which is not changed itself.
          const { orders } = yield* repository.list({
            limit: 9,
            status: ["FAILED"],
          });
          const { end } = yield* repository.list({ limit: 3 });
          assert.strictEqual(orders[2]?.order_id, "A2");
          assert.deepStrictEqual(
            yield* repository.countMatching(
              { status: "FAILED", error: "no", after: end },
              9,
            ),
            { matching: 1, isCapped: false },
          );
          assert.deepStrictEqual(yield* count, { matching: 2, isCapped: true });
          assert.deepStrictEqual(yield* retried({ limit: 2, error: "no" }), [
            ["A0", "A2"],
            true,
          ]);
          assert.deepStrictEqual(yield* count, {
            matching: 1,
            isCapped: false,
          });
          assert.deepStrictEqual(yield* retried({ limit: 1, error: "no" }), [
            ["A3"],
            false,
          ]);
          assert.deepStrictEqual(yield* count, {
            matching: 0,
            isCapped: false,
          });
          assert.deepStrictEqual(yield* retried({ limit: 9 }), [
            ["A1", "A4"],
            false,
          ]);
          yield* assertTallyIsCount(repository);
        }),
    );

    /** Orders of a user in each state there is, oldest first; their ids. */
    const inAllStates = Effect.fnUntraced(function* (
      repository: Repository,
      user: string,
    ) {
      const place = (name: string) =>
        Effect.as(
          repository.insert(
            newOrder(`${user}-${name}`, { user_id: user }),
            partition,
          ),
          id(`${user}-${name}`),
        );
      const begin = (name: string) =>
        Effect.flatMap(place(name), (order_id) =>
          Effect.map(beginOne(repository, order_id, firstEpoch), (begun) => ({
            order_id,
            attempt: Option.getOrThrow(begun).attempt,
          })),
        );
      yield* place("waiting");
      yield* begin("in work");
      yield* completeOne(repository, yield* begin("completed"));
      const error = "no";
      yield* repository.fail({
        ...(yield* begin("postponed")),
        ...{ error, wait: Duration.hours(1) },
      });
      yield* repository.fail({
        ...(yield* begin("failed")),
        ...{ error, wait: undefined },
      });
      yield* repository.release({
        ...(yield* begin("given back")),
        wait: Duration.zero,
      });
      yield* repository.cancel(yield* place("cancelled"));
      const retried = yield* begin("retried");
      yield* repository.fail({ ...retried, error, wait: undefined });
      yield* repository.retry(retried.order_id);
      yield* place("last");
      return ["waiting", "postponed", "given back", "retried", "last"];
    });

    it.effect(
      "leaves of many that are cancelled what cancelling each would leave",
      () =>
        Effect.gen(function* () {
          const { repository } = yield* subject;
          const pending = yield* inAllStates(repository, "many");
          yield* inAllStates(repository, "each");
          const count = (user: string) =>
            repository.countMatching(
              { status: "PENDING", user_id: UserId.make(user) },
              100,
            );
          const matching = pending.length;
          const isCapped = false;
          assert.deepStrictEqual(yield* count("many"), { matching, isCapped });

          const first = yield* repository.cancelMany({
            limit: 2,
            user_id: UserId.make("many"),
          });
          assert.deepStrictEqual(
            [first.orders.toSorted(), first.more],
            [["many-postponed", "many-waiting"], true],
          );
          const rest = yield* repository.cancelMany({
            limit: 3,
            user_id: UserId.make("many"),
          });
          assert.deepStrictEqual(
            [rest.orders.length, rest.more],
            [matching - 2, false],
          );
          for (const name of pending) {
            const order_id = id(`each-${name}`);
            assert.isTrue(Option.isSome(yield* repository.cancel(order_id)));
          }

          const left = (user: string) =>
            Effect.gen(function* () {
              const { orders } = yield* repository.list({
                limit: 500,
                user_id: UserId.make(user),
              });
              return yield* Effect.forEach(orders, (order) =>
                Effect.map(repository.history(order.order_id), (history) => ({
                  name: order.order_id.slice(user.length),
                  status: order.status,
                  attempts: order.attempts,
                  waits: order.next_attempt_at !== null,
                  last_error: order.last_error,
                  history: Option.getOrThrow(history).map((entry) => [
                    entry.type,
                    "actor" in entry ? entry.actor : undefined,
                    "outcome" in entry ? entry.outcome : undefined,
                  ]),
                })),
              );
            });
          assert.deepStrictEqual(yield* left("many"), yield* left("each"));
          assert.deepStrictEqual(yield* count("many"), {
            matching: 0,
            isCapped,
          });
          // What an actor held of them before begins nothing.
          const begun = yield* beginOne(
            repository,
            id("many-waiting"),
            firstEpoch,
          );
          assert.isTrue(Option.isNone(begun));
          yield* assertTallyIsCount(repository);
        }),
    );

    it.effect(
      "cancels the oldest, those before a time, and nobody else's",
      () =>
        Effect.gen(function* () {
          const { pass, repository } = yield* subject;
          for (const name of ["A", "B"]) {
            yield* repository.insert(newOrder(name), partition);
          }
          yield* pass("20 millis");
          const { order: middle } = yield* repository.insert(
            newOrder("C"),
            elsewhere,
          );
          const created_before = middle.created_at;
          const cancelled = (query: ManyQuery) =>
            Effect.map(repository.cancelMany(query), ({ more, orders }) => [
              orders.toSorted().join(" "),
              more,
            ]);
          assert.deepStrictEqual(
            yield* cancelled({ limit: 9, user_id: UserId.make("nobody") }),
            ["", false],
          );
          assert.deepStrictEqual(
            yield* cancelled({ limit: 1, created_before }),
            ["A", true],
          );
          assert.deepStrictEqual(
            yield* cancelled({ limit: 9, created_before }),
            ["B", false],
          );
          assert.deepStrictEqual(yield* cancelled({ limit: 9 }), ["C", false]);
        }),
    );

    it.effect("cancels an order once when many ask at once", () =>
      Effect.gen(function* () {
        const { repository } = yield* subject;
        const ids = Array.from({ length: 40 }, (_, index) => id(`A${index}`));
        for (const order_id of ids) {
          yield* repository.insert(newOrder(order_id), partition);
        }
        const [many, more, one] = yield* Effect.all(
          [
            repository.cancelMany({ limit: 25 }),
            repository.cancelMany({ limit: 25 }),
            repository.cancel("A30"),
          ],
          { concurrency: "unbounded" },
        );
        const changed = [
          ...many.orders,
          ...more.orders,
          ...Option.toArray(one).map(({ order_id }) => order_id),
        ];
        assert.deepStrictEqual(changed.toSorted(), ids.toSorted());
        yield* assertTallyIsCount(repository);
      }),
    );

    it.effect("says how large the items of what may be begun are", () =>
      Effect.gen(function* () {
        const { repository } = yield* subject;
        const item_ids = ["x".repeat(20_000), { n: [1, null] }];
        const item_bytes = JSON.stringify(item_ids).length;
        const placed = yield* repository.insert(
          newOrder("A", { item_ids }),
          partition,
        );
        assert.strictEqual(placed.item_bytes, item_bytes);
        const [due] = yield* openIn(repository, partition);
        assert.strictEqual(due?.item_bytes, item_bytes);
        const begun = yield* beginOne(
          repository,
          id("A"),
          firstEpoch,
          item_bytes,
        );
        const { attempt } = Option.getOrThrow(begun);
        yield* repository.fail({
          order_id: id("A"),
          attempt,
          error: "no",
          wait: undefined,
        });
        const retried = Option.getOrThrow(yield* repository.retry("A"));
        assert.deepStrictEqual(retried.order.item_ids, item_ids);
        assert.strictEqual(retried.item_bytes, item_bytes);
      }),
    );

    it.effect(
      "finds large orders as well as small ones, and replays them",
      () =>
        Effect.gen(function* () {
          const { repository } = yield* subject;
          const orders = [8_000, 8_200, 900_000, 3].map((length, index) =>
            newOrder(`L${index}`, { item_ids: ["x".repeat(length)] }),
          );
          yield* all(orders.map((_) => repository.insert(_, partition)));
          const again = yield* all(
            orders.map((_) => repository.insert(_, partition)),
          );
          const looked = yield* all(
            orders.map(({ order_id }) => found(repository, order_id)),
          );
          for (const [index, { item_ids }] of orders.entries()) {
            assert.deepStrictEqual(looked[index]?.item_ids, item_ids);
            assert.deepStrictEqual(again[index]?.order.item_ids, item_ids);
            assert.isFalse(again[index]?.isNew);
          }
        }),
    );

    // the log, and what is aside

    it.effect("reads the open orders of a partition as they came", () =>
      Effect.gen(function* () {
        const { repository } = yield* subject;
        for (const order_id of ["C", "A", "B", "D"]) {
          yield* repository.insert(newOrder(order_id), partition);
        }
        yield* repository.insert(newOrder("E"), elsewhere);
        const read = (after: LogPlace, limit: number) =>
          Effect.map(repository.readLog(partition, after, limit), (read) => ({
            ...read,
            ids: read.open.map((_) => _.order_id).join(" "),
          }));
        assert.strictEqual((yield* read(0n, 10)).ids, "C A B D");
        const first = yield* read(0n, 2);
        assert.strictEqual(first.ids, "C A");
        assert.isFalse(first.isEnd);
        assert.strictEqual(first.readTo, first.open[1]?.seq);
        const rest = yield* read(first.readTo, 10);
        assert.strictEqual(rest.ids, "B D");
        assert.isTrue(rest.isEnd);
        const behind = yield* read(rest.readTo, 10);
        assert.deepInclude(behind, { ids: "", isEnd: true });
        assert.isTrue(behind.readTo >= rest.readTo);
        // Where a partition has no order, its place moves on with the others'.
        const none = yield* repository.readLog(Partition.make(0), 0n, 10).pipe(
          Effect.repeat({
            until: ({ readTo }) => readTo >= rest.readTo,
            schedule: Schedule.spaced("1 millis"),
          }),
        );
        assert.deepStrictEqual(none.open, []);
        // Begun, it is still open; completed or cancelled, it is passed over.
        const { order_id } = newOrder("A");
        yield* beginOne(repository, order_id, firstEpoch);
        const [, begun] = (yield* read(0n, 10)).open;
        assert.deepStrictEqual(begun?.underway, {
          order_id,
          attempt: 1,
          attempts: 1,
        });
        yield* completeOne(repository, { order_id, attempt: 1 });
        yield* repository.cancel("D");
        const last = yield* read(0n, 10);
        assert.strictEqual(last.ids, "C B");
        assert.isTrue(last.readTo >= rest.readTo);
      }),
    );

    it.effect("names what is aside and due, longest due first", () =>
      Effect.gen(function* () {
        const { pass, repository } = yield* subject;
        for (const order_id of ["A", "B", "C", "D"]) {
          yield* repository.insert(newOrder(order_id), partition);
          yield* beginOne(repository, id(order_id), firstEpoch);
        }
        const aside = (limit: number) =>
          Effect.map(repository.readAside(partition, limit), (open) =>
            open.map((_) => _.order_id).join(" "),
          );
        assert.strictEqual(yield* aside(10), "");
        const failed = { attempt: 1, error: "no" };
        const wait = Duration.zero;
        yield* repository.fail({ order_id: id("C"), ...failed, wait });
        yield* pass("1 millis");
        yield* repository.release({ order_id: id("A"), attempt: 1, wait });
        yield* pass("1 millis");
        yield* repository.fail({
          ...{ order_id: id("B"), ...failed },
          wait: undefined,
        });
        yield* repository.retry("B");
        yield* repository.fail({
          ...{ order_id: id("D"), ...failed },
          wait: Duration.hours(1),
        });
        assert.strictEqual(yield* aside(10), "C A B");
        assert.strictEqual(yield* aside(2), "C A");
        assert.deepStrictEqual(
          (yield* repository.readLog(partition, 0n, 10)).open,
          [],
        );
        // Begun again it stays aside until it is final.
        yield* beginOne(repository, id("C"), firstEpoch);
        const [first] = yield* repository.readAside(partition, 10);
        assert.deepInclude(first?.underway, { attempt: 2, attempts: 2 });
        yield* completeOne(repository, { order_id: id("C"), attempt: 2 });
        yield* repository.cancel("A");
        assert.strictEqual(yield* aside(10), "B");
        assert.strictEqual(
          (yield* repository.readAside(elsewhere, 10)).length,
          0,
        );
      }),
    );

    it.effect("begins a postponed order after its clock is set back", () =>
      Effect.gen(function* () {
        const { repository, setBack } = yield* subject;
        const postpone = Effect.fnUntraced(function* (order_id: OrderId) {
          yield* repository.insert(newOrder(order_id), partition);
          yield* beginOne(repository, order_id, firstEpoch);
          const wait = Duration.minutes(5);
          const attempt = { order_id, attempt: 1 };
          yield* repository.fail({ ...attempt, error: "no", wait });
        });
        const aside = Effect.map(repository.readAside(partition, 10), (open) =>
          open.map((_) => _.order_id).join(" "),
        );
        yield* postpone(id("A"));
        assert.strictEqual(yield* aside, "");
        yield* setBack("1 hour");
        // Postponed by the new clock, an order waits as it should.
        yield* postpone(id("B"));
        assert.strictEqual(yield* aside, "A");
        const begun = yield* beginOne(repository, id("A"), firstEpoch);
        assert.isTrue(Option.isSome(begun));
        assert.isTrue(
          Option.isNone(yield* beginOne(repository, id("B"), firstEpoch)),
        );
        // Under way it is still found, as it would be after its process died.
        assert.strictEqual(yield* aside, "A");
      }),
    );

    it.effect("leaves a clock that is set out of the average", () =>
      Effect.gen(function* () {
        const { repository, setBack } = yield* subject;
        for (const order_id of [id("A"), id("B")]) {
          yield* repository.insert(newOrder(order_id), partition);
          yield* beginOne(repository, order_id, firstEpoch);
        }
        const complete = (order_id: OrderId) =>
          completeOne(repository, { order_id, attempt: 1, workSeconds: 2 });
        yield* setBack("1 hour");
        yield* complete(id("A"));
        yield* setBack("-3 hours");
        yield* complete(id("B"));
        const { processingSeconds } = yield* repository.tally;
        assert.closeTo(processingSeconds, 2 + 62, 0.5);
      }),
    );

    it.effect("answers each of many that read at once", () =>
      Effect.gen(function* () {
        const { repository } = yield* subject;
        for (const order_id of ["A", "B", "C"]) {
          yield* repository.insert(newOrder(order_id), partition);
        }
        yield* repository.insert(newOrder("E"), elsewhere);
        const answers = yield* all([
          dueIn(repository, partition, 2),
          dueIn(repository, elsewhere, 2),
          dueIn(repository, partition, 10),
          dueIn(repository, Partition.make(0), 10),
          dueIn(repository, partition, 1),
        ]);
        assert.deepStrictEqual(
          answers.map((ids) => ids.join(" ")),
          ["A B", "E", "A B C", "", "A"],
        );
      }),
    );

    it.effect("keeps the place of a partition for its next owner", () =>
      Effect.gen(function* () {
        const { repository } = yield* subject;
        const former = yield* repository.claim(partition);
        assert.strictEqual(former.place, 0n);
        const { epoch } = yield* repository.claim(partition);
        yield* repository.keepPlace(partition, epoch, 7n);
        yield* repository.keepPlace(partition, former.epoch, 9n);
        yield* repository.keepPlace(partition, epoch, 3n);
        assert.strictEqual((yield* repository.claim(partition)).place, 7n);
        assert.strictEqual((yield* repository.claim(elsewhere)).place, 0n);
      }),
    );

    it.effect("names the attempts of a partition that are under way", () =>
      Effect.gen(function* () {
        const { repository } = yield* subject;
        const first = yield* begun(repository, "A");
        const attempt = yield* begun(repository, "B");
        yield* completeOne(repository, yield* begun(repository, "C"));
        yield* repository.insert(newOrder("D"), partition);
        yield* repository.insert(newOrder("E"), elsewhere);
        yield* beginOne(repository, id("E"), firstEpoch);
        yield* repository.fail({ ...first, error: "no", wait: Duration.zero });
        yield* beginOne(repository, id("A"), firstEpoch);
        const attempts = yield* underwayIn(repository, partition);
        assert.deepStrictEqual(
          attempts.toSorted((a, b) => (a.order_id < b.order_id ? -1 : 1)),
          [
            { ...first, attempt: 2, attempts: 2 },
            { ...attempt, attempts: 1 },
          ],
        );
        assert.deepStrictEqual(yield* underwayIn(repository, elsewhere), [
          { order_id: id("E"), attempt: 1, attempts: 1 },
        ]);
        assert.deepStrictEqual(
          yield* underwayIn(repository, Partition.make(0)),
          [],
        );
      }),
    );

    // tally

    it.effect("counts how often orders failed for good, retried or not", () =>
      Effect.gen(function* () {
        const { repository } = yield* subject;
        const failures = Effect.map(repository.tally, (_) => _.failures);
        const error = "no";
        const first = yield* begun(repository, "A");
        yield* repository.fail({ ...first, error, wait: Duration.zero });
        assert.strictEqual(yield* failures, 0);
        const second = yield* begun(repository, "B");
        yield* repository.fail({ ...second, error, wait: undefined });
        assert.strictEqual(yield* failures, 1);
        yield* repository.retry(id("B"));
        assert.strictEqual(yield* failures, 1);
        yield* beginOne(repository, id("B"), firstEpoch);
        const again = { ...second, attempt: 2 };
        yield* repository.fail({ ...again, error, wait: undefined });
        assert.strictEqual(yield* failures, 2);
        assert.strictEqual((yield* repository.tally).counts.FAILED, 1);
      }),
    );

    it.effect("measures the age of the oldest PENDING order", () =>
      Effect.gen(function* () {
        const { pass, repository } = yield* subject;
        const placed: Array<number> = [];
        const place = Effect.fnUntraced(function* (order_id: string) {
          const { order } = yield* repository.insert(
            newOrder(order_id),
            partition,
          );
          placed.push(order.created_at.epochMilliseconds / 1000);
          yield* pass("20 millis");
        });
        const age = Effect.map(
          repository.tally,
          (tally) => tally.oldestPendingSeconds ?? Number.NaN,
        );
        yield* place("A");
        yield* place("B");
        const ofA = yield* age;
        yield* place("C");
        yield* beginOne(repository, id("A"), firstEpoch);
        const ofB = yield* age;
        yield* place("D");
        const [a, b, c, d] = placed as [number, number, number, number];
        const rounding = 0.002;
        assert.isAtLeast(ofA, b - a - rounding);
        assert.isAtMost(ofA, c - a + rounding);
        assert.isAtLeast(ofB, c - b - rounding);
        assert.isAtMost(ofB, d - b + rounding);
      }),
    );

    it.effect(
      "does what the life of an order allows, whatever is asked of it",
      () =>
        holds(Schema.Array(Move), options.runs, (sequence) =>
          Effect.gen(function* () {
            const { repository } = yield* subject;
            const model = new Map<string, Modelled>();
            for (const move of sequence) {
              const before = model.get(move.order);
              const after = moved(before, move);
              assert.strictEqual(
                yield* make(repository, move, before?.begun ?? 0),
                after !== undefined,
                `${move.move} ${move.order} in ${before?.status}`,
              );
              if (after !== undefined) model.set(move.order, after);
            }
            const { orders } = yield* repository.list(everything);
            assert.strictEqual(orders.length, model.size);
            for (const order of orders) {
              const expected = model.get(order.order_id) as Modelled;
              assert.strictEqual(order.status, expected.status);
              assert.strictEqual(order.attempts, expected.attempts);
              assert.strictEqual(order.last_error, expected.last_error);
              assert.strictEqual(
                order.next_attempt_at !== null,
                expected.status === "PENDING" && expected.attempts > 0,
              );
            }
            const named = (is: (order: Modelled) => boolean) =>
              [...model].filter(([, order]) => is(order)).map(([name]) => name);
            assert.deepStrictEqual(
              new Set<string>(yield* dueIn(repository, partition)),
              new Set(named((_) => _.status === "PENDING" && _.isDue)),
            );
            assert.deepStrictEqual(
              new Set(
                (yield* underwayIn(repository, partition)).map(
                  (_) => `${_.order_id} ${_.attempt} ${_.attempts}`,
                ),
              ),
              new Set(
                named((_) => _.status === "PROCESSING").map(
                  (name) =>
                    `${name} ${model.get(name)?.begun} ${model.get(name)?.attempts}`,
                ),
              ),
            );
            yield* assertTallyIsCount(repository);
          }),
        ),
      60_000,
    );

    it.effect(
      "counts right whatever is asked of it at once",
      () =>
        holds(
          Schema.Struct({
            placed: Schema.Array(Move),
            begun: Schema.Array(Move),
            ended: Schema.Array(Move),
          }),
          options.runs,
          (rounds) =>
            Effect.gen(function* () {
              const { repository } = yield* subject;
              for (const moves of [rounds.placed, rounds.begun, rounds.ended]) {
                const attempts = new Map(
                  (yield* underwayIn(repository, partition)).map(
                    ({ attempt, order_id }) => [order_id as string, attempt],
                  ),
                );
                yield* all(
                  moves.map((move) =>
                    make(repository, move, attempts.get(move.order) ?? 0),
                  ),
                );
                yield* assertTallyIsCount(repository);
              }
            }),
        ),
      60_000,
    );
  });
