"""The services that are measured; `limen serve` runs this as it runs any program."""

import os

from limen import auth, service


@service(safe=False, ssl=False)
async def order(number: int, name: str):
    return {"number": number + 1, "name": name}


@service(safe=False, ssl=False, inline=True)
def quick(number: int, text: str):
    return text


@service(safe=False, ssl=False)
def threaded(number: int, text: str):
    return text


@service(ssl=False, inline=True)
def quick_sealed(number: int, text: str):
    return text


@service(safe=False, ssl=False, inline=True)
def compute(number: int, name: str, spins: int):
    for _ in range(spins):
        number ^= _
        number ^= _
    return {"number": number + 1, "name": name}


@service(safe=False, ssl=False, inline=True)
def which():
    return os.getpid()


auth.add_user("ada", "lovelace")
