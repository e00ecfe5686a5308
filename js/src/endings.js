/** What the end of a session is called. @module */
import { LimenError } from "./exc.js";

/** The server says that it does not know this session, rather than that it can't just now. @param {LimenError} error */
export const isVerdict = (error) =>
  "verdict" in error && !["Abusive", "Busy", "Timeout"].includes(error.exc) && !error.uri.startsWith("wamp.close.");

/**
 * The error for what waits, when the server has said GOODBYE.
 * @param {string} reason its last word: "expired", "taken_over", …
 * @param {Record<string, any>} details
 */
export function farewell(reason, details) {
  if (reason !== "taken_over")
    return new LimenError(
      reason === "expired" ? "ExpiredSession" : "UnknownSession",
      [details.message].filter(Boolean),
      details,
    );
  const from = details.from ? `, from ${details.from}` : "";
  const when = details.when ? ` at ${details.when}` : "";
  const words = [`This session was continued elsewhere${from}${when}.`, "If that was not you, set a new password."];
  return new LimenError("UnknownSession", words, details);
}
