/**
 * Who sent a request, once that is known: for those who handle it later, and
 * for its line in the log. It stands on what the request was made of, which all
 * copies of it share: a service of Effect's would copy all others for each
 * request, and a `WeakMap` takes 1.7 microseconds to keep one more.
 */
import type { HttpServerRequest } from "effect/http";
import type { Scope } from "../domain/Scope.ts";

export interface Asker {
  /** The name of the key; none if it is not good, or not known. */
  readonly actor: string | undefined;
  readonly key_id: string | undefined;
  readonly scopes: ReadonlySet<Scope> | undefined;
  /** Why the key is not good, or what else was wrong. */
  readonly refused: string | undefined;
}

const asker = Symbol("http/Asker");

type Request = Pick<HttpServerRequest.HttpServerRequest, "source">;
type Marked = { [asker]?: Asker };

export const remember = ({ source }: Request, known: Asker): void => {
  (source as Marked)[asker] = known;
};

export const askerOf = ({ source }: Request): Asker | undefined =>
  (source as Marked)[asker];
