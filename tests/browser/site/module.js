import * as Limen from "/limen/limen.mjs";
import { login, ready, safe_call, state } from "/limen/limen.mjs";

window.Limen = Limen;
await ready;
await login("grace", "hopper");
document.title = `${state.status} ${state.user} ${await safe_call("lab.add", { a: 1, b: 2 })}`;
