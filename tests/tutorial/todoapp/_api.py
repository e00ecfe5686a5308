from limen import service, storage
from ._models import Todo

@service()
def get_all():
    with storage() as db:
        return list(map(Todo.to_dict, db.select(Todo)))

@service(auto_parse=False)
def add(text):
    with storage() as db:
        record = db.insert(Todo, text=text)
    return Todo.to_dict(record)

@service(auto_parse=False)
def update(id, vsn, text, done):
    with storage() as db:
        record = db.fetch(Todo, id, vsn)
        record.text = text
        record.done = done
        db.update(record)
        # or just
        # record = db.update(Todo, id, vsn, text=text, done=done)
    return Todo.to_dict(record)

@service()
def remove(id, vsn):
    with storage() as db:
        record = db.fetch(Todo, id, vsn)
        db.delete(record)
        # or just
        # db.delete(Todo, id, vsn)
    return True
