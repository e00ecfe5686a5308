from limen import Hict

class Todo:

    @classmethod
    def initialize(cls, record):
        record.merge(done=False, text='')

    @classmethod
    def validate(cls, record):
        errors = Hict()

        text = record.text
        if not isinstance(text, str):
            errors.text.bad_type = type(text).__name__
        elif not text.strip():
            errors.text.invalid = text

        done = record.done
        if not isinstance(done, bool):
            errors.done.bad_type = type(done).__name__

        return errors

    @classmethod
    def index(cls, record):
        return dict(done=record.done, text=record.text)

    @classmethod
    def to_dict(cls, record):
        return dict(done=record.done, text=record.text,
                    id=record._uuid, vsn=record._vsn)
