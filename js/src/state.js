/** Who one is in a page, and how patient its session is. @module */

/** @typedef {"anonymous" | "signing-in" | "online" | "offline"} Status */
/**
 * Who one is here, and how things stand. *secure*: the page may log in (https or localhost). *impersonated_by*: who acts
 * as the user; null: it is the user.
 * @typedef {Readonly<{status: Status, secure: boolean, domain: string, user: string | null, role: string,
 *    roles: readonly string[], profile: Readonly<Record<string, any>>, impersonated_by: string | null}>} State
 */
/**
 * Seconds and counts, for tests to shorten. *first*, *most*: of the back-off. *wait*: how long a call waits for a
 * connection. *queue*: how many may wait. *quiet*: silence after which the other end is asked for a sign. *answer*: how
 * long each step of a greeting may take.
 * @typedef {{first: number, most: number, wait: number, queue: number, quiet: number, answer: number}} Limits
 */
/**
 * *progress*: told 0 … 1 while the password is stretched. *force*: where the user has as many sessions as are allowed,
 * the oldest makes room.
 * @typedef {{progress?: (done: number) => void, force?: boolean}} LoginOptions
 */
/**
 * What logs in and makes new passwords; loaded when needed (`seal/login.js`).
 * @typedef {ReturnType<typeof import("./seal/login.js").loginPart>} LoginPart
 */
/**
 * @typedef {Pick<import("./slots.js").Slots, "slot" | "mayResume" | "stayOut" | "take" | "keep" | "drop" | "leave" | "release">}
 *    SlotStore
 */
/**
 * A connection of the session. *session*: its number there. *renewed*: when its topics are heard again.
 * @typedef {{session: number, roles: Record<string, any>, renewed: Promise<unknown>}} Entered
 */
/** @type {Limits} */
export const LIMITS = { first: 0.25, most: 15, wait: 60, queue: 256, quiet: 30, answer: 15 };

export const NOBODY = {
  user: null,
  role: "anonymous",
  roles: Object.freeze(["anonymous"]),
  profile: Object.freeze({}),
  impersonated_by: null,
};
