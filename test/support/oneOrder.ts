/** What the repository does to many orders, from and to what is done to one. */
import { Effect, Result } from "effect";
import type { OrderId } from "../../src/domain/Order.ts";
import type {
  AnswerEach,
  Attempt,
  Epoch,
  OrderRepository,
  RepositoryUnavailable,
} from "../../src/persistence/OrderRepository.ts";

type Repository = OrderRepository["Service"];

export const beginOne = (
  repository: Pick<Repository, "begin">,
  order_id: OrderId,
  epoch: Epoch,
  item_bytes = 0,
) =>
  Effect.flatMap(
    repository.begin([{ order_id, epoch, item_bytes }]),
    ([answer]) => Effect.fromResult(answer as typeof answer & {}),
  );

export const completeOne = (
  repository: Pick<Repository, "complete">,
  attempt: Attempt,
) =>
  Effect.flatMap(repository.complete([attempt]), ([answer]) =>
    Effect.fromResult(answer as typeof answer & {}),
  );

/** Asks for each by itself, all at once; fails if all have failed. */
export const askEach = <In, A>(
  asked: ReadonlyArray<In>,
  ask: (one: In) => Effect.Effect<A, RepositoryUnavailable>,
): Effect.Effect<AnswerEach<A>, RepositoryUnavailable> =>
  Effect.flatMap(
    Effect.forEach(asked, (one) => Effect.result(ask(one)), {
      concurrency: "unbounded",
    }),
    (answers) => {
      const failed = answers.filter(Result.isFailure);
      return failed[0] !== undefined && failed.length === answers.length
        ? Effect.fail(failed[0].failure)
        : Effect.succeed(answers);
    },
  );
