/* A page of an application: `await begin("shop")` has a session of it, by the page's login or, with `plain`, without. */
import { View, start_session } from "/limen/application.mjs";
import { Connection, call } from "/limen/node.mjs";

const seen = [];

class Desktop extends View {
  static show = call();
  show(notes) {
    document.title = notes.join(" ");
    return notes.length;
  }
}

async function begin(application, { plain = false } = {}) {
  const connection = plain ? new Connection(location.origin) : Connection.over();
  const joined = await start_session(connection, application, { views: { Desktop } });
  for (const event of ["started", "ended"]) joined.on(event, (what) => seen.push([event, String(what)]));
  Object.assign(window, { connection, joined });
  return [joined.address, joined.new];
}

const note = (text) => window.joined.views.get("desktop").remote("#controller").note(text);

Object.assign(window, { begin, note, seen, started: true });
