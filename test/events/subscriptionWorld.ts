/**
 * Instances that dispatch subscriptions, over one log and one store in memory,
 * on the test's clock, and a receiver without a socket.
 */
import {
  Context,
  Deferred,
  Duration,
  Effect,
  Exit,
  Layer,
  Scope,
} from "effect";
import { TestClock } from "effect/testing";
import type { OrderId } from "../../src/domain/Order.ts";
import type { EventPlace } from "../../src/domain/OrderEvent.ts";
import { Partition } from "../../src/domain/Partition.ts";
import { partitionOf } from "../../src/domain/Subscription.ts";
import { EventFollower } from "../../src/events/EventFollower.ts";
import {
  type DeliveryOutcome,
  type Posted,
  SubscriptionDelivery,
} from "../../src/events/SubscriptionDelivery.ts";
import { SubscriptionDispatchers } from "../../src/events/SubscriptionDispatchers.ts";
import { EventLog } from "../../src/persistence/EventLog.ts";
import {
  OrderRepository,
  RepositoryUnavailable,
} from "../../src/persistence/OrderRepository.ts";
import * as OrderRepositoryMemory from "../../src/persistence/OrderRepositoryMemory.ts";
import { SubscriptionStore } from "../../src/persistence/SubscriptionStore.ts";
import * as SubscriptionStoreMemory from "../../src/persistence/SubscriptionStoreMemory.ts";
import { newOrder } from "../persistence/orderRepositorySuite.ts";
import { beginOne, completeOne } from "../support/oneOrder.ts";

/** What the receiver was posted, as far as tests ask. */
export interface Call {
  readonly by: string;
  readonly id: string;
  /** As in `order.placed A1`. */
  readonly events: ReadonlyArray<string>;
}

export const taken: DeliveryOutcome = {
  status: 200,
  error: null,
  retryAfter: undefined,
};

export const refused: DeliveryOutcome = {
  status: 503,
  error: "the receiver answered 503",
  retryAfter: undefined,
};

const eventsIn = ({ body }: Posted) =>
  (JSON.parse(body) as ReadonlyArray<{ type: string; subject: string }>).map(
    ({ subject, type }) => `${type} ${subject}`,
  );

export const makeWorld = Effect.gen(function* () {
  const services = yield* Layer.build(
    Layer.fresh(
      Layer.provideMerge(
        SubscriptionStoreMemory.layer,
        OrderRepositoryMemory.layer,
      ),
    ),
  );
  const store = Context.get(services, SubscriptionStore);
  const repository = Context.get(services, OrderRepository);
  const log = Context.get(services, EventLog);

  const over = yield* Deferred.make<void>();

  const receiver = {
    /** What it answers from now on. */
    answer: Effect.succeed(taken) as Effect.Effect<DeliveryOutcome>,
    calls: [] as Array<Call>,
    /** All events it took, in the order of their delivery. */
    taken: [] as Array<string>,
  };

  const subscribe = (
    id: string,
    fields: {
      readonly types?: ReadonlyArray<"order.placed" | "order.completed">;
      readonly place?: EventPlace;
    } = {},
  ) =>
    Effect.gen(function* () {
      yield* store.insert({
        id,
        url: "https://receiver.example/",
        types: fields.types ?? [],
        secret: "whsec_",
        place: fields.place ?? (yield* log.latest),
      });
    });

  const place = (...ids: ReadonlyArray<string>) =>
    Effect.forEach(
      ids,
      (id) => repository.insert(newOrder(id), Partition.make(9)),
      { discard: true },
    );

  const complete = (id: string) =>
    Effect.gen(function* () {
      yield* beginOne(repository, id as OrderId, 0);
      yield* completeOne(repository, { order_id: id as OrderId, attempt: 1 });
    });

  /** Starts an instance that owns the partition of the first subscription. */
  const instance = Effect.fnUntraced(function* (name: string) {
    const state = { isDead: false, isAway: false };
    /** Of a dead one nothing comes any more. */
    const alive = <A, E>(effect: Effect.Effect<A, E>) =>
      Effect.suspend((): Effect.Effect<A, E | RepositoryUnavailable> => {
        if (state.isDead) {
          return Effect.andThen(Deferred.await(over), Effect.interrupt);
        }
        return state.isAway
          ? Effect.fail(new RepositoryUnavailable({ reason: "away" }))
          : effect;
      });
    const delivery = SubscriptionDelivery.of({
      to: () =>
        Effect.succeed((posted) =>
          Effect.gen(function* () {
            const events = eventsIn(posted);
            receiver.calls.push({ by: name, id: posted.id, events });
            const outcome = yield* receiver.answer;
            if (outcome.error === null) receiver.taken.push(...events);
            return outcome;
          }),
        ),
    });
    const own = SubscriptionStore.of({
      ...store,
      active: alive(store.active),
      claim: (id) => alive(store.claim(id)),
      keepPlace: (...args) => alive(store.keepPlace(...args)),
      fail: (...args) => alive(store.fail(...args)),
      disable: (...args) => alive(store.disable(...args)),
    });
    const scope = yield* Scope.fork(yield* Effect.scope);
    // Nobody waits for the dead at the end of a test.
    yield* Effect.addFinalizer(() => Deferred.succeed(over, undefined));
    const context = yield* Layer.buildWithScope(
      Layer.fresh(SubscriptionDispatchers.layer).pipe(
        Layer.provide(Layer.fresh(EventFollower.layer)),
        Layer.provide([
          Layer.succeed(SubscriptionStore, own),
          Layer.succeed(SubscriptionDelivery, delivery),
          Layer.succeed(EventLog, {
            ...log,
            read: (...args) => alive(log.read(...args)),
            latest: alive(log.latest),
          }),
        ]),
      ),
      scope,
    );
    const { run } = Context.get(context, SubscriptionDispatchers);
    yield* Effect.forkIn(run(partitionOf(0)), scope);
    return {
      state,
      /** Ends it in order. */
      stop: Scope.close(scope, Exit.void),
    };
  });

  return {
    store,
    log,
    receiver,
    subscribe,
    place,
    complete,
    instance,
    find: (id: string) =>
      Effect.map(store.find(id), (found) => {
        if (found._tag === "None") throw new Error(`no ${id}`);
        return found.value;
      }),
    /** Long enough for whatever is soon. */
    soon: TestClock.adjust(Duration.seconds(2)),
  };
});
