/** Who may ask, and who may write. */
import { timingSafeEqual } from "node:crypto";
import type { MiddlewareHandler } from "hono";

/**
 * Refuses requests whose Host header is not this server's own: a page of another site that has its name point here (DNS
 * rebinding) sends its own. Answers carry the headers that keep the page to itself.
 */
export function onlyFor(hosts: () => readonly string[]): MiddlewareHandler {
  return async (context, next) => {
    if (!hosts().includes(context.req.header("host") ?? "")) {
      return context.json({ error: "this server answers to its own address only" }, 403);
    }
    await next();
    const { headers } = context.res;
    if (!headers.has("Content-Security-Policy")) headers.set("Content-Security-Policy", policy);
    headers.set("X-Content-Type-Options", "nosniff");
    headers.set("Referrer-Policy", "no-referrer");
    headers.set("Cross-Origin-Resource-Policy", "same-origin");
  };
}

const policy = [
  "default-src 'none'",
  "script-src 'self'",
  // Figures carry their colours as inline style.
  "style-src 'self' 'unsafe-inline'",
  "img-src 'self' data:",
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join("; ");

/** Lets a request through that carries the token. */
export function withToken(token: string): MiddlewareHandler {
  return async (context, next) => {
    const given = /^Bearer (.+)$/.exec(context.req.header("authorization") ?? "")?.[1] ?? "";
    if (!same(given, token)) {
      return context.json({ error: "this needs the token that espalier dashboard printed in its terminal" }, 401);
    }
    await next();
  };
}

function same(a: string, b: string): boolean {
  const [left, right] = [Buffer.from(a), Buffer.from(b)];
  return left.length === right.length && timingSafeEqual(left, right);
}
