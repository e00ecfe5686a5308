"""Takes a file, looks at its size, and lets it go."""

from limen import Upload, config, service

config.MAX_UPLOAD_SIZE = 4 * 2**30


@service(safe=False, ssl=False)
async def take(file: Upload):
    return file.size
