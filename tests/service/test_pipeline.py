"""The way of one call: who may, with what values, on what thread. For exceptions see test_pipeline_errors.py."""

from __future__ import annotations

import asyncio
import contextvars
import threading
from dataclasses import replace
from typing import Any

import pytest

from limen import exc
from limen.base.principal import Cancellation, Principal, get_state
from limen.service.pipeline import Pipeline
from limen.service.service import Service

from .conftest import ANYONE, USER, House

MINE: contextvars.ContextVar[str] = contextvars.ContextVar("mine", default="clean")


# -- guard ------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("ssl", "tls", "development", "allowed"),
    [
        (None, False, False, False),
        (None, False, True, True),
        (None, True, False, True),
        (True, False, True, False),
        (True, True, False, True),
        (False, False, False, True),
    ],
)
async def test_tls_is_required_unless_the_service_or_development_says_otherwise(
    house: House, ssl: bool | None, tls: bool, development: bool, allowed: bool
) -> None:
    @house.service(safe=False, ssl=ssl)
    def hello() -> str:
        return "hello"

    house.config.IS_DEVELOPMENT = development
    by = replace(ANYONE, tls=tls)
    if allowed:
        assert await house.call(hello, by=by) == "hello"
    else:
        assert type(await house.refusal(hello, by=by)) is exc.RequireSSL


async def test_a_call_in_process_has_no_transport_to_encrypt(house: House) -> None:
    @house.service(safe=False, ssl=True)
    def hello() -> str:
        return "hello"

    assert await house.call(hello, by=Principal("localhost")) == "hello"


@pytest.mark.parametrize(
    "by",
    [ANYONE, replace(ANYONE, user="ada"), replace(ANYONE, sealed=True), Principal("localhost", user="ada")],
    ids=["anonymous", "a user, unsealed", "sealed, nobody", "in process, unsealed"],
)
async def test_a_safe_service_needs_a_user_in_a_sealed_session(house: House, by: Principal) -> None:
    @house.service()
    def secret() -> str:
        return "sealed"

    error = await house.refusal(secret, by=by)
    assert type(error) is exc.Unauthorized
    assert house.charged == [(by.origin, "unsealed")]
    assert await house.call(secret, by=USER) == "sealed"
    assert len(house.charged) == 1


async def test_the_guard_comes_before_the_arguments(house: House) -> None:
    @house.service()
    def secret(n: int) -> int:
        return n

    assert type(await house.refusal(secret, "no int", by=ANYONE)) is exc.Unauthorized


@pytest.mark.parametrize("inline", [True, False])
async def test_roles_and_check_perm_are_asked_and_denials_counted(house: House, inline: bool) -> None:
    @house.service(roles=("admin",), inline=inline)
    def by_role() -> str:
        return "ok"

    @house.service(check_perm=lambda state: state.user == "ada" and state.service == "by_check", inline=inline)
    def by_check() -> str:
        return "ok"

    eve, admin = replace(USER, user="eve"), replace(USER, roles=("user", "admin"))
    assert type(await house.refusal(by_role, by=USER)) is exc.Forbidden
    assert await house.call(by_role, by=admin) == "ok"
    assert await house.call(by_check, by=USER) == "ok"
    assert type(await house.refusal(by_check, by=eve)) is exc.Forbidden
    assert house.charged == [(USER.origin, "denied")] * 2


@pytest.mark.parametrize("inline", [True, False])
async def test_the_program_is_asked_last_after_roles_and_permissions(house: House, inline: bool) -> None:
    asked: list[str] = []

    @house.service(check_perm=lambda state: asked.append(state.user) or True, inline=inline)
    def locked() -> str:
        return "ok"

    house.pipeline.rulebook.set("localhost", [("keeper", "locked")])
    assert type(await house.refusal(locked, by=USER)) is exc.Forbidden
    assert asked == []
    assert await house.call(locked, by=replace(USER, roles=("keeper",))) == "ok"
    assert asked == ["ada"]


async def test_check_perm_may_guard_what_everybody_may_call(house: House) -> None:
    @house.service(safe=False, check_perm=lambda state: state.origin == ANYONE.origin)
    def hello() -> str:
        return "hello"

    assert await house.call(hello, by=ANYONE) == "hello"
    assert type(await house.refusal(hello, by=replace(ANYONE, origin="192.0.2.99"))) is exc.Forbidden


async def test_a_check_perm_that_fails_lets_nobody_in(house: House, caplog: pytest.LogCaptureFixture) -> None:
    @house.service(check_perm=lambda state: 1 / 0)
    def secret() -> str:
        return "sealed"

    assert type(await house.refusal(secret, by=USER)) is exc.InternalError
    assert "ZeroDivisionError" in caplog.text


async def test_check_perm_runs_where_its_function_may_block(house: House) -> None:
    threads = []

    def check(state: Any) -> bool:
        threads.append(threading.current_thread())
        return True

    @house.service(check_perm=check)
    def plain() -> None:
        threads.append(threading.current_thread())

    await house.call(plain, by=USER)
    assert threads[0] is threads[1] is not threading.main_thread()


async def test_forbidden_by_the_function_itself_is_not_counted(house: House) -> None:
    @house.service()
    def secret() -> None:
        raise exc.Forbidden("Not this one.")

    assert type(await house.refusal(secret, by=USER)) is exc.Forbidden
    assert house.charged == []


async def test_abusive_origins_are_refused_unless_sealed_or_let_be(house: House) -> None:
    @house.service(safe=False)
    def hello() -> str:
        return "hello"

    @house.service(safe=False, check_abusive=False)
    def status() -> str:
        return "up"

    @house.service()
    def secret() -> str:
        return "sealed"

    house.wait = 30.0
    error = await house.refusal(hello)
    assert type(error) is exc.Abusive
    assert error.facts["retry_after"] == 30.0
    assert type(await house.refusal(secret)) is exc.Abusive
    assert await house.call(status) == "up"
    assert await house.call(secret, by=USER) == "sealed"
    assert await house.call(hello, by=USER) == "hello"


# -- values -----------------------------------------------------------------------------------------------------
async def test_texts_are_parsed_unless_auto_parse_is_off(house: House) -> None:
    @house.service(safe=False)
    def parsed(*args):  # type: ignore[no-untyped-def]
        return [type(arg).__name__ for arg in args]

    @house.service(safe=False, auto_parse=False)
    def as_it_came(*args):  # type: ignore[no-untyped-def]
        return [type(arg).__name__ for arg in args]

    assert await house.call(parsed, "1", "1.50", "007", ["1"]) == ["int", "Decimal", "str", "list"]
    assert await house.call(as_it_came, "1", "1.50") == ["str", "str"]


async def test_wrong_arguments_are_refused_and_do_not_run(house: House) -> None:
    ran = []

    @house.service(safe=False)
    def add(n: int) -> None:
        ran.append(n)

    error = await house.refusal(add, "one")
    assert type(error) is exc.InvalidArguments
    assert error.facts["fields"] == {"n": "Expected `int`, got `str`"}
    assert ran == []
    assert house.done == [("add", "InvalidArguments")]
    await house.call(add, "5", text={0})
    assert ran == [5]


# -- running ----------------------------------------------------------------------------------------------------
async def test_plain_functions_run_on_worker_threads_and_inline_ones_on_the_loop(house: House) -> None:
    def where() -> Any:
        return threading.current_thread(), get_state().service, get_state().user

    house.service("thread")(where)
    inline = house.service("inline", inline=True)(lambda: where())

    @house.service("async")
    async def waiting() -> Any:
        await asyncio.sleep(0)
        return await asyncio.create_task(asyncio.to_thread(where))

    thread, *state = await house.call(where, by=USER)
    assert thread is not threading.main_thread()
    assert state == ["thread", "ada"]
    assert await house.call(inline, by=USER) == (threading.main_thread(), "inline", "ada")
    thread, *state = await house.call(waiting, by=USER)
    assert state == ["async", "ada"]
    assert get_state().service == ""


async def test_an_inline_service_answers_at_once(house: House) -> None:
    @house.service(safe=False, inline=True)
    def double(n: int) -> int:
        return 2 * n

    assert house.pipeline.call(ANYONE, double.__limen_service__, [21]) == 42


@pytest.mark.parametrize("how", ["thread", "inline", "async"])
async def test_what_a_call_leaves_in_the_context_stays_with_it(house: House, how: str) -> None:
    def leave() -> str:
        before = MINE.get()
        MINE.set("dirty")
        return before

    async def leave_later() -> str:
        await asyncio.sleep(0)
        return leave()

    house.service("x", safe=False, inline=how == "inline")(leave_later if how == "async" else leave)
    function = leave_later if how == "async" else leave
    assert [await house.call(function) for _ in range(3)] == ["clean"] * 3
    assert MINE.get() == "clean"


async def test_many_calls_at_once_wait_for_a_thread(house: House) -> None:
    running, most = [], []
    lock = threading.Lock()
    gate = threading.Event()

    @house.service(safe=False)
    def slow(n: int) -> int:
        with lock:
            running.append(n)
            most.append(len(running))
            if len(running) == 4:
                gate.set()
        gate.wait(10)
        with lock:
            running.remove(n)
        return n

    assert await asyncio.gather(*(house.call(slow, n) for n in range(50))) == list(range(50))
    assert max(most) == 4


async def test_an_ordinary_executor_serves_as_well(house: House) -> None:
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(2) as executor:
        pipeline = Pipeline(house.config, executor=executor)
        service = Service(lambda n: n + 1, "x", safe=False)
        assert await asyncio.gather(*(pipeline.call(ANYONE, service, [n]) for n in range(20))) == list(range(1, 21))


# -- cancellation and time --------------------------------------------------------------------------------------
async def test_cancelling_reaches_an_async_function(house: House) -> None:
    seen: list[str] = []

    @house.service(safe=False)
    async def wait() -> None:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            seen.append("cancelled")
            raise

    task = asyncio.create_task(house.call(wait))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert seen == ["cancelled"]
    assert house.done == [("wait", "Canceled")]


async def test_cancelling_tells_a_function_on_a_thread(house: House) -> None:
    started, ended = threading.Event(), threading.Event()
    seen: list[bool] = []

    @house.service(safe=False)
    def work() -> None:
        started.set()
        for _ in range(1000):
            if get_state().cancelled:
                break
            threading.Event().wait(0.01)
        seen.append(get_state().cancelled)
        ended.set()

    cancellation = Cancellation()
    task = asyncio.create_task(house.call(work, cancellation=cancellation))
    await asyncio.to_thread(started.wait, 10)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await asyncio.to_thread(ended.wait, 10)
    assert seen == [True]
    assert cancellation.is_set()


async def test_what_fails_after_its_caller_has_gone_is_still_logged(
    house: House, caplog: pytest.LogCaptureFixture
) -> None:
    started, go = threading.Event(), threading.Event()

    @house.service(safe=False)
    def work() -> None:
        started.set()
        go.wait(10)
        raise RuntimeError("late failure")

    task = asyncio.create_task(house.call(work))
    await asyncio.to_thread(started.wait, 10)
    task.cancel()
    await asyncio.wait([task])
    go.set()
    for _ in range(500):
        if caplog.records:
            break
        await asyncio.sleep(0.01)
    assert "late failure" in caplog.text


async def test_a_call_cancelled_before_a_thread_is_free_never_runs(house: House) -> None:
    go = threading.Event()
    ran: list[str] = []

    @house.service(safe=False)
    def block() -> None:
        go.wait(10)

    @house.service(safe=False)
    def late() -> None:
        ran.append("late")

    blocking = [asyncio.create_task(house.call(block)) for _ in range(4)]
    waiting = asyncio.create_task(house.call(late))
    await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.wait([waiting])
    go.set()
    await asyncio.gather(*blocking)
    house.workers.shutdown()
    assert ran == []


async def test_timeout_ends_the_call(house: House) -> None:
    @house.service(safe=False, timeout=0.02)
    async def slow() -> None:
        await asyncio.sleep(60)

    @house.service(safe=False, timeout=0.02)
    def blocking() -> None:
        for _ in range(1000):
            if get_state().cancelled:
                return
            threading.Event().wait(0.01)

    @house.service(safe=False, timeout=60)
    async def quick() -> str:
        return "in time"

    for function in (slow, blocking):
        assert type(await house.refusal(function)) is exc.Timeout
    assert await house.call(quick) == "in time"
    assert [error for _, error in house.done] == ["Timeout", "Timeout", None]


async def test_a_timeout_error_of_the_function_s_own_is_a_failure(house: House) -> None:
    @house.service(safe=False, timeout=60)
    async def slow() -> None:
        raise TimeoutError

    assert type(await house.refusal(slow)) is exc.InternalError
