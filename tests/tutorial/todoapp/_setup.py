from limen import DataStore, dbm, auth, add_model, add_storage
from ._models import Todo

db = dbm.MemDictStore()
storage = DataStore(db, permission=db, state=db, abuse=db, profile=db, settings=db)

auth.setup(storage)

add_model(Todo)
add_storage(storage, Todo)

auth.add_user('MY-USER', 'MY-SECRET', domain='localhost')
