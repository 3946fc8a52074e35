/** The least a JSON service in Node can do: reads a body, and sends it back. */
import { createServer } from "node:http";

createServer((request, response) => {
  if (request.method !== "POST") {
    response.end();
    return;
  }
  const chunks: Array<Buffer> = [];
  request.on("data", (chunk: Buffer) => chunks.push(chunk));
  request.on("end", () => {
    const body: unknown = JSON.parse(Buffer.concat(chunks).toString());
    const answer = JSON.stringify(body);
    response.writeHead(201, {
      "content-type": "application/json",
      "content-length": Buffer.byteLength(answer),
    });
    response.end(answer);
  });
}).listen(Number(process.env.PORT), "127.0.0.1", 4096);
