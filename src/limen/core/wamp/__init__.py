"""The WAMP v2 router, a machine without I/O.

messages.py, codecs.py   what is said, and its bytes         session.py     who says it
realm.py                 one domain's router: all below it   effects.py     what it decides; the edge acts
calls/                   CALL to RESULT: dealer.py           events/        PUBLISH to EVENT: broker.py
meta/                    what the router answers itself      auth/          the login methods
verdict.py               who may what                        features.py    what is announced
uris.py, patterns.py     URIs, and what stands for many      ids.py         ids that several processes say alike
passthru.py, trace.py    what goes on as it came             times.py       times as the router tells them
"""
