/** What can be done with subscriptions, and what is refused. */
import { assert, describe, it } from "@effect/vitest";
import { Context, Effect, Layer } from "effect";
import { Partition } from "../../src/domain/Partition.ts";
import { secretFault, urlFault } from "../../src/domain/Subscription.ts";
import {
  type Posted,
  SubscriptionDelivery,
} from "../../src/events/SubscriptionDelivery.ts";
import { Subscriptions } from "../../src/events/Subscriptions.ts";
import { EventLog, WritesEvents } from "../../src/persistence/EventLog.ts";
import { OrderRepository } from "../../src/persistence/OrderRepository.ts";
import * as OrderRepositoryMemory from "../../src/persistence/OrderRepositoryMemory.ts";
import { SubscriptionStore } from "../../src/persistence/SubscriptionStore.ts";
import * as SubscriptionStoreMemory from "../../src/persistence/SubscriptionStoreMemory.ts";
import { newOrder } from "../persistence/orderRepositorySuite.ts";

const url = "https://receiver.example/hook";
const secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

const make = Effect.fnUntraced(function* (writesEvents = true) {
  const posted: Array<Posted & { readonly secret: string }> = [];
  const delivery = SubscriptionDelivery.of({
    to: ({ secret }) =>
      Effect.succeed((one) =>
        Effect.sync(() => {
          posted.push({ ...one, secret });
          return { status: 418, error: "no", retryAfter: undefined };
        }),
      ),
  });
  const context = yield* Layer.build(
    Layer.fresh(
      Subscriptions.layer({ mayBe: (host) => host !== "10.0.0.1" }).pipe(
        Layer.provideMerge(SubscriptionStoreMemory.layer),
        Layer.provideMerge(OrderRepositoryMemory.layer),
        Layer.provide([
          Layer.succeed(WritesEvents, writesEvents),
          Layer.succeed(SubscriptionDelivery, delivery),
        ]),
      ),
    ),
  );
  return {
    posted,
    subscriptions: Context.get(context, Subscriptions),
    store: Context.get(context, SubscriptionStore),
    log: Context.get(context, EventLog),
    repository: Context.get(context, OrderRepository),
  };
});

describe("a subscription", () => {
  it.effect("begins with what happens from now on", () =>
    Effect.gen(function* () {
      const { log, repository, store, subscriptions } = yield* make();
      yield* repository.insert(newOrder("BEFORE"), Partition.make(1));
      const made = yield* subscriptions.subscribe({ url });
      yield* repository.insert(newOrder("AFTER"), Partition.make(1));
      const claim = yield* store.claim(made.subscription.id);
      assert.isTrue(claim._tag === "Some");
      if (claim._tag !== "Some") return;
      const { events } = yield* log.read(claim.value.place, 10);
      assert.deepStrictEqual(
        events.map(({ order_id }) => String(order_id)),
        ["AFTER"],
      );
    }),
  );

  it.effect("has the secret that was given, or one of its own", () =>
    Effect.gen(function* () {
      const { store, subscriptions } = yield* make();
      const given = yield* subscriptions.subscribe({ url, secret });
      assert.strictEqual(given.secret, secret);
      const own = yield* subscriptions.subscribe({ url });
      const other = yield* subscriptions.subscribe({ url });
      assert.isUndefined(secretFault(own.secret));
      assert.match(own.secret, /^whsec_[A-Za-z0-9+/]{32}$/);
      assert.notStrictEqual(own.secret, other.secret);
      const kept = yield* store.receiver(own.subscription.id);
      assert.isTrue(kept._tag === "Some" && kept.value.secret === own.secret);
      for (const subscription of yield* subscriptions.list) {
        assert.notInclude(JSON.stringify(subscription), "whsec_");
      }
    }),
  );

  it.effect("is for each type once", () =>
    Effect.gen(function* () {
      const { subscriptions } = yield* make();
      const types = ["order.placed", "order.placed"] as const;
      const { subscription } = yield* subscriptions.subscribe({ url, types });
      assert.deepStrictEqual(subscription.types, ["order.placed"]);
    }),
  );

  it.effect("is refused where it leads to a private address", () =>
    Effect.gen(function* () {
      const { subscriptions } = yield* make();
      const error = yield* Effect.flip(
        subscriptions.subscribe({ url: "http://10.0.0.1/" }),
      );
      assert.strictEqual(error._tag, "PrivateReceiver");
      assert.deepStrictEqual(yield* subscriptions.list, []);
    }),
  );

  it.effect("is refused where there are a hundred, until one is deleted", () =>
    Effect.gen(function* () {
      const { subscriptions } = yield* make();
      const subscribe = subscriptions.subscribe({ url });
      const [one] = yield* Effect.replicateEffect(subscribe, 100);
      const error = yield* Effect.flip(subscribe);
      assert.strictEqual(error._tag, "TooManySubscriptions");
      yield* subscriptions.remove(one?.subscription.id ?? "");
      yield* subscribe;
    }),
  );

  it.effect("is not found by what is no id of one", () =>
    Effect.gen(function* () {
      const { subscriptions } = yield* make();
      const { find, pause, remove, resume, test } = subscriptions;
      const none = "sub_0123456789abcdef01234567";
      for (const id of [none, "", "a\0b", "x".repeat(5000), `${none}0`]) {
        for (const ask of [find, pause, resume, remove, test]) {
          const error = yield* Effect.flip<
            unknown,
            { readonly _tag: string },
            never
          >(ask(id));
          assert.strictEqual(error._tag, "SubscriptionNotFound");
        }
      }
    }),
  );

  it.effect("is tested by an event of its own, signed with its secret", () =>
    Effect.gen(function* () {
      const { posted, subscriptions } = yield* make();
      const made = yield* subscriptions.subscribe({ url, secret });
      const { id } = made.subscription;
      yield* subscriptions.pause(id);
      assert.deepStrictEqual(yield* subscriptions.test(id), {
        delivered: false,
        status: 418,
        error: "no",
      });
      const [one] = posted;
      assert.strictEqual(one?.secret, secret);
      const [event] = JSON.parse(one?.body ?? "[]");
      assert.deepStrictEqual(
        [event.type, event.subject, event.specversion, event.id],
        ["subscription.test", id, "1.0", one?.id],
      );
    }),
  );

  it.effect("is nothing that can be asked for where EVENTS is off", () =>
    Effect.gen(function* () {
      const { subscriptions } = yield* make(false);
      const id = "sub_0123456789abcdef01234567";
      const asked: ReadonlyArray<
        Effect.Effect<unknown, { readonly _tag: string }>
      > = [
        subscriptions.subscribe({ url }),
        subscriptions.list,
        subscriptions.find(id),
        subscriptions.pause(id),
        subscriptions.resume(id),
        subscriptions.remove(id),
        subscriptions.test(id),
      ];
      for (const ask of asked) {
        assert.strictEqual((yield* Effect.flip(ask))._tag, "EventsAreOff");
      }
    }),
  );
});

describe("what is given", () => {
  it.each([
    ...["", "receiver.example", "ftp://receiver.example/", "http://"],
    ...["https://user@receiver.example/", "https://:p@receiver.example/"],
    ...["javascript:alert(1)", `https://receiver.example/${"x".repeat(2000)}`],
  ])("is no URL of a receiver: %s", (text) => {
    assert.isString(urlFault(text));
  });

  it.each([
    ...["https://receiver.example", "HTTP://receiver.example:8080/a?token=b"],
    ...["http://[2606:4700::1]/", `https://a.example/${"x".repeat(1982)}`],
  ])("is one: %s", (text) => {
    assert.isUndefined(urlFault(text));
  });

  it.each([
    ...["", "whsec_", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_***"],
    ...["whsec_c2hvcnQ=", `whsec_${"A".repeat(92)}`, `${secret} ${secret}`],
    ...[`${secret}\n`, "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaS"],
  ])("is no secret: %j", (text) => {
    assert.isString(secretFault(text));
  });

  it.each([secret, `whsec_${"A".repeat(84)}AA==`])("is one: %s", (text) => {
    assert.isUndefined(secretFault(text));
  });
});
