"""FastAPI as its tutorial writes it: one model, one path operation."""

from fastapi import FastAPI
from pydantic import BaseModel

app = FastAPI()


class Order(BaseModel):
    number: int
    name: str


@app.post("/order")
async def order(order: Order):
    return {"number": order.number + 1, "name": order.name}


@app.get("/hello")
async def hello():
    return "hello"
