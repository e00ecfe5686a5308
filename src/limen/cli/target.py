"""What `limen serve TARGET` serves: a module, `module:app`, or a .py file; and the App set up as the options say."""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import os
import sys
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from limen import exc
from limen.app import App
from limen.base.config import Config
from limen.base.names import domain_name
from limen.base.proxies import Proxies
from limen.store import group

if TYPE_CHECKING:
    from .workers import Membership

NO_FILE = "There is no file {}."
NO_MODULE = "There is no module {!r} here; TARGET is a module, module:app, or a .py file."


def load(target: str) -> App:
    """Imports *target* and gives its App: the one named behind the colon, else the default App.

    Raises `NotFound` with what to do. A program that fails shows its own traceback, and ends this process with 1.
    """
    import limen

    name, _, attribute = target.partition(":")
    sys.path.insert(0, str(Path.cwd()))
    path = Path(name)
    if path.suffix == ".py":
        if not path.is_file():
            raise exc.NotFound(NO_FILE.format(name))
        path = path.resolve()
        if getattr(sys.modules.get(path.stem), "__file__", str(path)) != str(path):
            raise exc.NotFound(f"{name} stands in the way of the module {path.stem!r}; give the file another name.")
        sys.path.insert(0, str(path.parent))
        spec = importlib.util.spec_from_file_location(path.stem, path)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[path.stem] = module
        with _program():
            spec.loader.exec_module(module)
    else:
        if not all(part.isidentifier() for part in name.split(".")):
            raise exc.NotFound(NO_MODULE.format(name))
        with _program(name):
            module = importlib.import_module(name)
    if not attribute:
        own = [key for key, value in vars(module).items() if isinstance(value, App) and value is not limen.default]
        if own and not (list(limen.default.registry) or limen.default.registry.topics or limen.default.statics):
            raise exc.NotFound(f"{name} declares nothing on the default App; to serve its own, say {name}:{own[0]}.")
        return limen.default
    app = getattr(module, attribute, None)
    if not isinstance(app, App):
        raise exc.NotFound(f"{name} has no App called {attribute!r}.")
    return app


@contextlib.contextmanager
def _program(target: str = "") -> Iterator[None]:
    """Round what the program does when it is imported: its errors are shown as its author wants to see them."""
    try:
        yield
    except exc.Error:
        raise  # says all by itself
    except Exception as error:
        if isinstance(error, ModuleNotFoundError) and _part_of(error.name, target):
            raise exc.NotFound(NO_MODULE.format(error.name)) from None
        frames = error.__traceback__
        while frames is not None and frames.tb_frame.f_code.co_filename in _OURS:
            frames = frames.tb_next
        traceback.print_exception(error.with_traceback(frames))
        raise SystemExit(1) from None


def _part_of(name: str | None, target: str) -> bool:
    """*name* is *target* or one of the packages it would be in."""
    return bool(target) and f"{target}.".startswith(f"{name}.")


_OURS = {__file__, importlib.__file__, "<frozen importlib._bootstrap>", "<frozen importlib._bootstrap_external>"}
"""Files whose frames stand above the program's own in a traceback, and tell its author nothing."""


def serve_target(
    target: str,
    *,
    host: str,
    port: int,
    domain: tuple[str, ...] = (),
    db: str | None = None,
    keys: str | None = None,
    tls: str | None = None,
    dev: bool = False,
    realm_rules: str = "closed",
    reload: bool = True,
    proxy: tuple[str, ...] = (),
    metrics: str | None = None,
    workers: int | None = None,
) -> int:
    """Serves until told to stop; gives the exit status. *reload*: with *dev*, anew after each change of a file."""
    import limen

    from .serve import INHERITED, listen

    if dev and INHERITED not in os.environ and host not in ("localhost", "127.0.0.1", "::1"):
        print(
            f"In development on {host}: whoever reaches this port sees your services, and of errors the source.",
            file=sys.stderr,
            flush=True,
        )
    if dev and reload and INHERITED not in os.environ:
        # This process holds the port and watches; the program is imported in the child only, anew after each change.
        from .reload import keep_serving

        if workers is not None:
            raise exc.InvalidCall("--dev serves in one process, which starts anew when a file changes: leave one out.")
        return keep_serving(_folder(target), listen(host, port), db=bool(db))
    member = None
    if workers is not None:
        from .workers import Membership, supervise

        member = Membership.taken()
        if member is None:  # this process holds the port; the program is imported in the workers only
            _folder(target)
            return supervise(workers, listen(host, port))
        group.join(member.group)
    # The program may ask for its store while it is imported, so that the options come first; and the default App is the
    # one that a module acts on, unless it makes its own.
    apply(limen.default, domain, db, keys, dev)
    if db:
        os.environ["LIMEN_DB"] = db  # for an App of its own, which may ask for its store before it can be told
    app = load(target)
    disagree(app, domain, db, keys)
    if app is not limen.default:
        too_late(app, domain, keys)
        apply(app, domain, db, keys, dev)
    if proxy:
        Proxies(proxy)
        app.config.PROXIES = proxy
    if metrics:
        app.config.METRICS = metrics
    app.open_realms = realm_rules == "open"
    return serve_app(app, host=host, port=port, tls=tls, member=member)


def _folder(target: str) -> Path:
    """The folder that holds the program's files. Raises `NotFound` where there is no such program."""
    name = target.partition(":")[0]
    path = Path(name)
    if path.suffix == ".py":
        if not path.is_file():
            raise exc.NotFound(NO_FILE.format(name))
        return path.resolve().parent
    sys.path.insert(0, str(Path.cwd()))
    if importlib.util.find_spec(name.partition(".")[0]) is None:
        raise exc.NotFound(NO_MODULE.format(name))
    return Path.cwd()


def disagree(app: App, domain: tuple[str, ...], db: str | None, keys: str | None) -> None:
    """Raises `InvalidCall` where the program has set otherwise what the command line says: each would be right, and
    `limen user` would write to the other's database."""
    said = {"domain": domain_name(domain[0]) if domain else None, "db": db, "keys": keys}
    for option, value in said.items():
        name = option.upper()
        has = getattr(app.config, name)
        if value and has not in (value, getattr(Config, name)):
            raise exc.InvalidCall(
                f"The program sets config.{name} to {has!r}, and --{option} is {value!r}: leave one out."
            )


def too_late(app: App, domain: tuple[str, ...], keys: str | None) -> None:
    """Raises `InvalidCall` where an App of the program's own has read or added users while it was imported, under
    another domain or another key file than the command line says."""
    for option, value in (("domain", domain), ("keys", keys)):
        if value and app.has_users_at_hand:
            raise exc.InvalidCall(
                f"The program asks for the users of its own App while it is imported, before --{option} can be said: "
                f"set config.{option.upper()} of that App above, or ask in a function for limen.on('server.started')."
            )


def apply(app: App, domain: tuple[str, ...], db: str | None, keys: str | None, dev: bool) -> None:
    """Sets *app* up as the options of the command line say."""
    if domain:
        app.config.DOMAIN = domain_name(domain[0])
        for name in domain[1:]:
            app.add_domain(name)
    if db:
        app.config.DB = db
    if keys:
        app.config.KEYS = keys
    if dev:
        app.config.IS_DEVELOPMENT = True


def serve_app(
    app: App, *, host: str, port: int, tls: str | tuple[str, str] | None = None, member: Membership | None = None
) -> int:
    """Runs the usual server for *app*. *member*: as one of several workers."""
    from .serve import run

    files: Any = tuple(tls.split(",", 1)) if isinstance(tls, str) and "," in tls else tls
    if isinstance(files, str) and files != "local":
        raise exc.InvalidCall("--tls takes 'local', or CERT,KEY: two files with a comma between.")
    first = member is None or member.first
    if first and (advice := plain_advice(app, tls=files is not None)):
        print(advice, file=sys.stderr, flush=True)
    if member is None:
        return run(app, host=host, port=port, tls=files)
    from .workers import join

    ready, evenly = join(app, member)
    return run(app, host=host, port=port, tls=files, on_ready=ready, quiet=not first, evenly=evenly)


def plain_advice(app: App, *, tls: bool) -> str:
    """What to say before serving without TLS, where that means that services will be refused; "" otherwise."""
    if tls or app.config.IS_DEVELOPMENT or app.config.PROXIES:  # a proxy says whether there was TLS
        return ""
    refused = [service.urlpath for service in app.registry if service.ssl is not False]
    if not refused:
        return ""
    return (
        f"Without TLS {len(refused)} of {len(list(app.registry))} services answer RequireSSL (/{refused[0]}, for one). "
        "Say --tls local, --tls CERT,KEY, or --dev for trying things out; services with ssl=False answer all the same."
    )
