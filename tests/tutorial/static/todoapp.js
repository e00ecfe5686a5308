window.TodoApp = (function (F, E) {

    var self = this;

    self.get_all = function () {
        return F.safe_call('get_all');
    };

    self.add = function (text) {
        return F.safe_call('add', text);
    };

    self.update = function (todo) {
        return F.safe_call('update', todo);
    };

    self.remove = function (todo) {
        var params = {'id': todo.id, 'vsn': todo.vsn};
        return F.safe_call('remove', params);
    };

    self.login = function (username, password) {
        return F.login(username, password);
    };

    self.logout = function () {
        return F.logout();
    };

    E.InvalidCredential = function () {
        alert('Sorry, invalid username or password');
    };

    E.Unauthorized = function () {
        alert('Sorry, must login first');
    };

    E.Error = function (error) {
        alert('Sorry, an error occurred: ' + error.exc + '\n\n' + error.err.join('\n'));
    };

    return self;
})(Limen, Limen.exc);
