/**
 * Who sent a request, once that is known: for those who handle it later, and
 * for its line in the log. Kept beside the request, as long as that is alive:
 * a service of Effect's for it would copy all others for each request.
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

const askers = new WeakMap<object, Asker>();

type Request = Pick<HttpServerRequest.HttpServerRequest, "source">;

export const remember = ({ source }: Request, asker: Asker): void => {
  askers.set(source, asker);
};

export const askerOf = ({ source }: Request): Asker | undefined =>
  askers.get(source);
