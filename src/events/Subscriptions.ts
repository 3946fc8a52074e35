/** What can be done with subscriptions: an operation for each thing to ask. */
import {
  Context,
  DateTime,
  Effect,
  Layer,
  Option,
  Schema,
  Semaphore,
} from "effect";
import { SecureRandom } from "effect/crypto";
import { Hex } from "effect/encoding";
import type { EventType } from "../domain/OrderEvent.ts";
import {
  type Subscription,
  secretOf,
  subscriptionsMax,
} from "../domain/Subscription.ts";
import {
  SubscriptionNotFound,
  TooManySubscriptions,
} from "../domain/SubscriptionRefusals.ts";
import { EventLog } from "../persistence/EventLog.ts";
import type { RepositoryUnavailable } from "../persistence/OrderRepository.ts";
import { SubscriptionStore } from "../persistence/SubscriptionStore.ts";
import { EventsAreOff } from "./Places.ts";
import { SubscriptionDelivery } from "./SubscriptionDelivery.ts";

export interface SubscriptionsOptions {
  /** Whether deliveries may go to this host of a URL, as far as it says so. */
  readonly mayBe: (hostname: string) => boolean;
}

/** What is asked for; checked, but for where it may lead. */
export interface SubscribeRequest {
  readonly url: string;
  readonly types?: ReadonlyArray<EventType> | undefined;
  readonly secret?: string | undefined;
}

/** The receiver's host is one that is refused here. */
export class PrivateReceiver extends Schema.TaggedError<PrivateReceiver>()(
  "PrivateReceiver",
  {},
) {}

export interface TestOutcome {
  readonly delivered: boolean;
  /** The answer's, if there was one. */
  readonly status: number | null;
  readonly error: string | null;
}

/** Bytes of a key that is made here. */
const keyBytes = 24;

/** Tests at once; more wait. */
const testsMax = 8;

const idBytes = 12;
const isId = (id: string) => /^sub_[0-9a-f]{24}$/.test(id);

type Answer<A, E = never> = Effect.Effect<
  A,
  E | EventsAreOff | RepositoryUnavailable
>;

export class Subscriptions extends Context.Service<
  Subscriptions,
  {
    /** Its events are those from now on. The secret is told here only. */
    subscribe(
      asked: SubscribeRequest,
    ): Answer<
      { readonly subscription: Subscription; readonly secret: string },
      PrivateReceiver | TooManySubscriptions
    >;
    readonly list: Answer<ReadonlyArray<Subscription>>;
    find(id: string): Answer<Subscription, SubscriptionNotFound>;
    /** What is being delivered may still come; nothing after it. */
    remove(id: string): Answer<void, SubscriptionNotFound>;
    pause(id: string): Answer<Subscription, SubscriptionNotFound>;
    resume(id: string): Answer<Subscription, SubscriptionNotFound>;
    /** Posts an event of its own, now, whatever the subscription's status. */
    test(id: string): Answer<TestOutcome, SubscriptionNotFound>;
  }
>()("events/Subscriptions") {
  static readonly layer = (options: SubscriptionsOptions) =>
    Layer.effect(Subscriptions, make(options)).pipe(
      Layer.provide(SecureRandom.layerWebCrypto),
    );
}

/** The only event that is not in the log. */
const testEvent = (id: string, event: string, now: DateTime.Utc) => ({
  specversion: "1.0",
  id: event,
  source: "/api/subscriptions/",
  type: "subscription.test",
  subject: id,
  time: DateTime.formatIso(now),
  datacontenttype: "application/json",
  data: { subscription_id: id },
});

const make = Effect.fnUntraced(function* ({ mayBe }: SubscriptionsOptions) {
  const log = yield* EventLog;
  const store = yield* SubscriptionStore;
  const delivery = yield* SubscriptionDelivery;
  const random = yield* SecureRandom.SecureRandom;
  const tests = yield* Semaphore.make(testsMax);

  const whereOn = <A, E>(work: Effect.Effect<A, E>) =>
    Effect.suspend(
      (): Effect.Effect<A, E | EventsAreOff> =>
        log.isOn ? work : Effect.fail(new EventsAreOff()),
    );

  const newId = (prefix: string) =>
    Effect.map(
      random.randomBytes(idBytes),
      (bytes) => `${prefix}_${Hex.encode(bytes)}`,
    );

  /** What the store says of one, if there can be one of this id. */
  const one = <A>(
    id: string,
    ask: (id: string) => Effect.Effect<Option.Option<A>, RepositoryUnavailable>,
  ) =>
    whereOn(
      Effect.flatMap(
        isId(id) ? ask(id) : Effect.succeedNone,
        Option.match({
          onSome: (found) => Effect.succeed(found),
          onNone: () =>
            Effect.fail(
              new SubscriptionNotFound({
                id,
                detail: "There is no subscription of this id.",
              }),
            ),
        }),
      ),
    );

  const subscribe = Effect.fnUntraced(function* (asked: SubscribeRequest) {
    if (!mayBe(new URL(asked.url).hostname))
      return yield* new PrivateReceiver();
    const secret =
      asked.secret ?? secretOf(yield* random.randomBytes(keyBytes));
    const inserted = yield* store.insert({
      id: yield* newId("sub"),
      url: asked.url,
      types: Array.from(new Set(asked.types ?? [])),
      secret,
      place: yield* log.latest,
    });
    if (Option.isSome(inserted)) {
      return { subscription: inserted.value, secret };
    }
    return yield* new TooManySubscriptions({
      detail: `There may be ${subscriptionsMax} subscriptions: delete one that is not needed.`,
    });
  });

  const post = Effect.fnUntraced(function* (
    id: string,
    receiver: { readonly url: string; readonly secret: string },
  ) {
    const event = yield* newId("test");
    const body = testEvent(id, event, yield* DateTime.now);
    const send = yield* delivery.to(receiver);
    const { error, status } = yield* tests.withPermit(
      send({ id: event, body: JSON.stringify([body]) }),
    );
    return { delivered: error === null, status, error };
  });

  return Subscriptions.of({
    subscribe: (asked) =>
      whereOn(subscribe(asked)).pipe(
        Effect.withSpan("Subscriptions.subscribe"),
      ),
    list: whereOn(store.list).pipe(Effect.withSpan("Subscriptions.list")),
    find: Effect.fn("Subscriptions.find")((id: string) => one(id, store.find)),
    remove: Effect.fn("Subscriptions.remove")((id: string) =>
      Effect.asVoid(
        one(id, (id) =>
          Effect.map(store.remove(id), (was) =>
            was ? Option.some(undefined) : Option.none(),
          ),
        ),
      ),
    ),
    pause: Effect.fn("Subscriptions.pause")((id: string) =>
      one(id, store.pause),
    ),
    resume: Effect.fn("Subscriptions.resume")((id: string) =>
      one(id, store.resume),
    ),
    test: Effect.fn("Subscriptions.test")((id: string) =>
      Effect.flatMap(one(id, store.receiver), (receiver) => post(id, receiver)),
    ),
  });
});
