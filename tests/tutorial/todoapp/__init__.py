from . import _config as config
from . import _models as models
from . import _api as api
from . import _setup
