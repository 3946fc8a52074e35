/** Requests on one connection, each sent when the one before was answered. */
import { Agent, request } from "node:http";

export interface Asked {
  /** With its query. */
  readonly path: string;
  /** Makes it a POST. */
  readonly body?: string;
}

const answerTo = (agent: Agent, url: string, { body, path }: Asked) =>
  new Promise<number | undefined>((resolve, reject) => {
    const sending = request(
      `${url}${path}`,
      {
        agent,
        method: body === undefined ? "GET" : "POST",
        headers:
          body === undefined
            ? {}
            : {
                "content-type": "application/json",
                "content-length": Buffer.byteLength(body),
              },
      },
      (response) => {
        response.resume().once("end", () => resolve(response.statusCode));
      },
    );
    sending.once("error", reject);
    sending.end(body);
  });

/** The time each answer took, in milliseconds. All must be 200 or 201. */
export const ask = async (
  url: string,
  asked: ReadonlyArray<Asked>,
): Promise<ReadonlyArray<number>> => {
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  try {
    const millis: Array<number> = [];
    for (const each of asked) {
      const sent = performance.now();
      const status = await answerTo(agent, url, each);
      millis.push(performance.now() - sent);
      if (status !== 200 && status !== 201) {
        throw new Error(`${each.path} was answered ${status}`);
      }
    }
    return millis;
  } finally {
    agent.destroy();
  }
};
