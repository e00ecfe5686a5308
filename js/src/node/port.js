/**
 * The session port: what a tree of nodes needs of a connection, whichever kind it is. `PlainSession` fills it over a
 * WebSocket with any WAMP router, `SealedSession` by the page's login, and `testing.js` in memory.
 *
 *     const undo = await session.register("test.third.", ({ uri, args }) => …, { match: "prefix" });
 *     await session.apply("test.third.rpc", ["hello"], {}, { timeout: 5 });
 *     await undo();
 *
 * @module
 */

/**
 * Called, it acts at once; what it returns resolves when the router has confirmed it.
 * @typedef {() => Promise<void>} Undo
 */

/**
 * A call that came in. *uri*: the procedure that was called, whatever was registered. *caller*: session id, where the
 * router discloses it. *push*: takes the values of a stream, null where the caller does not want them one by one.
 * *signal*: aborted when the caller, or the connection, has gone.
 * @typedef {{uri: string, args: any[], kwargs: Record<string, any>, details: Record<string, any>, caller: number | null,
 *    caller_authid: string | null, caller_authrole: string | null, push: ((value: any) => void) | null,
 *    signal: AbortSignal}} Invoked
 */

/**
 * What stands behind a registration. Gives the result, a promise of it, or an iterator (async or not) of values: they
 * go out one by one if the caller wants that, else as a list.
 * @typedef {(invoked: Invoked) => any} Endpoint
 */

/**
 * *timeout*: seconds. *push*: gets the values of a stream, one by one. *signal*: aborted, the call is canceled.
 * @typedef {{timeout?: number | undefined, push?: ((value: any) => void) | undefined,
 *    signal?: AbortSignal | undefined}} CallOptions
 */

/** @typedef {"exact" | "prefix" | "wildcard"} Match */

/**
 * With *topic* the handler is called as handler(topic, args, kwargs, details), with EVENT.Details; else as
 * handler(...args), named ones last as an object. Synchronously, in the order in which the events came.
 * @typedef {{match?: Match, topic?: boolean}} SubscribeOptions
 */

/**
 * *online*, *offline*: the connection came, or was lost; it comes back by itself. *restored*: it is back, and everything
 * is registered and subscribed again. *revoked* ({uri, match, error}): something does not stand any more that should: the
 * router took it back, or did not take it again. *signed_out*: the session is over (gets the error); state is "closed".
 * @typedef {"online" | "offline" | "restored" | "revoked" | "signed_out"} Happening
 */

/**
 * *features*: WELCOME.Details.roles, `{dealer: {features: {…}}, broker: …}`. *id*: WAMP's number of the session; another
 * after each return. Calls made while the connection is lost wait for it; a publication rejects with ConnectionLost.
 * What had been sent when it was lost rejects with OutcomeUnknown; a sealed session knows how such calls ended. What is
 * registered or subscribed meanwhile is so when the connection is back.
 *
 * *discloses*: who hears what it publishes is told who it is, where the router lets them. *first*: each awaited when the
 * connection has returned, before anything is registered and subscribed again and before calls that waited are sent: the
 * server may have to learn first who this is.
 * @typedef {{
 *   readonly state: "online" | "offline" | "closed",
 *   readonly features: Record<string, any>,
 *   readonly id: number,
 *   discloses: boolean,
 *   first: (() => Promise<unknown>)[],
 *   apply(uri: string, args?: any[], kwargs?: Record<string, any>, options?: CallOptions): Promise<any>,
 *   publish(uri: string, args?: any[], kwargs?: Record<string, any>): Promise<void>,
 *   register(uri: string, endpoint: Endpoint, options?: {match?: Match}): Promise<Undo>,
 *   subscribe(uri: string, handler: (...args: any[]) => void, options?: SubscribeOptions): Promise<Undo>,
 *   on(event: Happening, handler: (detail: any) => void): () => void,
 * }} Session
 */

export {};
