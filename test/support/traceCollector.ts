/** Takes in by OTLP what a service tells of its spans, and forgets the rest. */
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { json } from "node:stream/consumers";

export interface Span {
  readonly name: string;
  /** What the span says of itself, as text. */
  readonly attributes: Readonly<Record<string, string | undefined>>;
}

/** What is sent to `/v1/traces`, as far as it is looked at. */
interface Export {
  readonly resourceSpans: ReadonlyArray<{
    readonly scopeSpans: ReadonlyArray<{
      readonly spans: ReadonlyArray<{
        readonly name: string;
        readonly attributes: ReadonlyArray<{
          readonly key: string;
          readonly value: {
            readonly stringValue?: string;
            readonly intValue?: number;
          };
        }>;
      }>;
    }>;
  }>;
}

const spansIn = ({ resourceSpans }: Export): ReadonlyArray<Span> =>
  resourceSpans
    .flatMap(({ scopeSpans }) => scopeSpans)
    .flatMap(({ spans }) => spans)
    .map(({ attributes, name }) => ({
      name,
      attributes: Object.fromEntries(
        attributes.map(({ key, value: { intValue, stringValue } }) => [
          key,
          stringValue ?? intValue?.toString(),
        ]),
      ),
    }));

export const startTraceCollector = async () => {
  const spans: Array<Span> = [];
  const server = createServer(async (request, response) => {
    const sent = await json(request);
    if (request.url === "/v1/traces") spans.push(...spansIn(sent as Export));
    response.end("{}");
  });
  await new Promise<void>((resolve) =>
    server.listen(0, "127.0.0.1", () => resolve()),
  );
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}`,
    /** All that have come so far. */
    spans: spans as ReadonlyArray<Span>,
    names: () => new Set(spans.map(({ name }) => name)),
    stop: () => {
      server.close();
      server.closeAllConnections();
    },
  };
};
