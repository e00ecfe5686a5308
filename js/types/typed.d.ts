/**
 * The functions that take a service's name, typed by what `limen types` says of a program. It writes `services.d.ts`,
 * which adds to the interfaces below; while they are empty, every name and every argument will do.
 */
import type { CallOptions, LimenFile, Tagged } from "./types/limen.js";

export type { LimenFile, Tagged };

/** All services, by address: what a sealed session may call. */
export interface Services {}
/** Those that answer plain calls too. */
export interface PlainServices {}
/** What may be listened to, by address. */
export interface Topics {}
/** `services.todo.add(…)`. */
export interface ServiceTree {}
/** `plain.todo.add(…)`. */
export interface PlainTree {}

/** A promise of all values, and a stream of each as it comes. */
export type Stream<T = any> = Promise<T[]> & AsyncIterable<T>;
type Anything = Promise<any> & AsyncIterable<any>;

type IsEmpty<S> = [keyof S] extends [never] ? true : false;
type Names<S> = IsEmpty<S> extends true ? string : (keyof S & string) | `/${string}`;
type Dotted<P extends string> = P extends `${infer A}/${infer B}` ? Dotted<`${A}.${B}`> : P;
/** The address behind a spelling: "todo.add", "/todo/add", "/todo/add.json". */
type Uri<N extends string> = N extends `/${infer P}.json` ? Dotted<P> : N extends `/${infer P}` ? Dotted<P> : N;
type Part<S, N extends string, K extends string, Otherwise> =
  IsEmpty<S> extends true
    ? Otherwise
    : Uri<N> extends keyof S
      ? S[Uri<N>] extends { [key in K]: infer T }
        ? T
        : never
      : never;
type Args<S, N extends string> = Part<S, N, "args", any[]> extends infer A extends readonly unknown[] ? A : never;
type Gives<S, N extends string> = IsEmpty<S> extends true ? Anything : Part<S, N, "gives", Anything>;

/** A service as a function. */
export type Call<S, N extends keyof S & string> = (...args: Args<S, N>) => Gives<S, N>;

/** A sealed call of a service; exactly one plain object means arguments by name. */
export declare const safe_call: <N extends Names<Services>>(name: N, ...args: Args<Services, N>) => Gives<Services, N>;
/** A sealed call with positional arguments, named ones and options. */
export declare const safe_apply: <N extends Names<Services>>(
  name: N,
  args?: unknown[],
  kwargs?: Partial<Part<Services, N, "named", Record<string, any>>>,
  options?: CallOptions,
) => Gives<Services, N>;
/** A plain call over HTTP, for services with `safe=False`. */
export declare const call: <N extends Names<PlainServices>>(
  name: N,
  ...args: Args<PlainServices, N>
) => Gives<PlainServices, N>;
/** A plain call with positional arguments, named ones and options. */
export declare const apply: <N extends Names<PlainServices>>(
  name: N,
  args?: unknown[],
  kwargs?: Partial<Part<PlainServices, N, "named", Record<string, any>>>,
  options?: CallOptions,
) => Gives<PlainServices, N>;

type Handler = (...args: any[]) => void;

/** Listens to a topic, over lost connections too, until the session ends. Gives the undo. */
export declare const subscribe: {
  <T extends IsEmpty<Topics> extends true ? string : keyof Topics & string>(
    topic: T,
    handler: Handler,
  ): Promise<() => void>;
  (topic: string, handler: Handler, options: { match?: "prefix" | "wildcard" }): Promise<() => void>;
};

/** All services as functions in a tree, each a sealed call: `services.todo.add("milk")`. */
export declare const services: IsEmpty<ServiceTree> extends true ? any : ServiceTree;
/** The services with `safe=False`, each a plain call. */
export declare const plain: IsEmpty<PlainTree> extends true ? any : PlainTree;
