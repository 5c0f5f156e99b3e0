"""In:     the command line that the master gave this worker: callable, title, descriptors.
Out:    the application, loaded in its own directory and interpreter, and served.
Actors: the main thread of the worker.
Never:  does anything of hallway stand in the application's way: no path, no handler, no module of its own.
"""

import sys

BOOT_FAILED = 3
LOAD_FAILED = 4


class NotThere(Exception):
    """The module was imported, but what was asked for is not in it."""


# What settings are called where the app was named: flags of `run`, or keys of a file.
BY_FLAGS = True


def named(key):
    return f"--{key}" if BY_FLAGS else key


def as_factory(target):
    return f"'--factory {target}'" if BY_FLAGS else f'wsgi = "{target}" and factory = true'


def say(text):
    print(f"hallway: {text}", file=sys.stderr, flush=True)


def set_title(title):
    """Shows the role in `ps`: the kernel's copy of the command line is written over."""
    try:
        with open("/proc/self/stat", "rb") as stat:
            fields = stat.read().rpartition(b")")[2].split()
        start, end = int(fields[45]), int(fields[46])
        with open("/proc/self/mem", "r+b", buffering=0) as memory:
            memory.seek(start)
            # Under a tool that runs programs inside itself (valgrind) these arguments are the tool's.
            if sys.orig_argv[0].encode(errors="surrogateescape") != memory.read(end - start).partition(b"\0")[0]:
                return
            memory.seek(start)
            memory.write(title.encode()[: end - start - 1].ljust(end - start, b"\0"))
        with open("/proc/self/comm", "w") as comm:
            comm.write(title.replace("hallway: ", "hallway:").replace(" ", "-"))
    except (OSError, ValueError, IndexError):
        pass  # Only looks depend on it.


def load_native(descriptor):
    from importlib.machinery import ExtensionFileLoader
    from importlib.util import module_from_spec, spec_from_file_location

    name, path = "hallway_native", f"/proc/self/fd/{descriptor}"
    spec = spec_from_file_location(name, path, loader=ExtensionFileLoader(name, path))
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def load_application(target):
    """The object behind `module:name`; says in words what is missing when it is not there."""
    from importlib import import_module

    module_name, _, attribute = target.partition(":")
    module = import_module(module_name)
    found = module
    for part in attribute.split("."):
        if not hasattr(found, part):
            from difflib import get_close_matches

            names = [name for name in dir(found) if not name.startswith("_")]
            near = [f"'{module_name}:{name}'" for name in ("app", "application", "wsgi") if name in names]
            factories = [name for name in ("create_app", "make_app", "get_wsgi_application") if name in names]
            near += [as_factory(f"{module_name}:{name}") for name in factories]
            near += [f"'{module_name}:{name}'" for name in get_close_matches(part, names, 1)]
            hint = f"; did you mean {near[0]}?" if near else ""
            raise NotThere(f"the module '{module_name}' has no '{part}'{hint}")
        found = getattr(found, part)
    if not callable(found):
        raise NotThere(f"'{target}' is not callable: it is {found!r}")
    return found


def check_takes_requests(target, application):
    """Refuses what would fail on each request: an ASGI application, a factory. What cannot be told is let
    through. By hand, because `inspect` takes longer to import than many an application."""
    if isinstance(application, type):
        return
    bound = 1 if hasattr(application, "__self__") else 0
    function = application
    if not hasattr(function, "__code__"):
        function, bound = getattr(type(application), "__call__", None), 1
    code = getattr(function, "__code__", None)
    if code is None or code.co_kwonlyargcount:
        return
    varargs, coroutine = 0x04, 0x80 | 0x200
    names = code.co_varnames[bound : code.co_argcount]
    least = len(names) - len(getattr(function, "__defaults__", None) or ())
    most = 1000 if code.co_flags & varargs else len(names)
    if code.co_flags & coroutine or names[:3] == ("scope", "receive", "send"):
        module, _, name = target.partition(":")
        twin = ".".join(["wsgi" if part == "asgi" else part for part in module.split(".")])
        hint = f"; did you mean '{twin}:{name}'?" if twin != module else ""
        raise NotThere(f"'{target}' is an ASGI application; hallway serves WSGI applications today{hint}")
    if not least <= 2 <= most:
        takes = "no arguments" if most == 0 else "one argument" if most == 1 else f"{least} arguments"
        hint = f"; if it makes the application, write {as_factory(target)}" if least == 0 else ""
        raise NotThere(f"'{target}' takes {takes}, and WSGI gives it environ and start_response{hint}")


def check_threads(threads):
    """Refuses to work in threads that are none: those of a library that has taken the place of threads run one after
    the other, and nobody would switch between them while the worker waits for requests."""
    if threads < 2:
        return
    gevent, eventlet = sys.modules.get("gevent.monkey"), sys.modules.get("eventlet.patcher")
    if gevent and gevent.is_module_patched("threading"):
        name, mend = "gevent", "monkey.patch_all(thread=False)"
    elif eventlet and eventlet.is_monkey_patched("thread"):
        name, mend = "eventlet", "monkey_patch(thread=False)"
    else:
        return
    raise NotThere(
        f"the app has {name} take the place of threads, and {named('threads')} {threads} needs real ones; "
        f"leave it out and take more workers, or write {mend}"
    )


class OneThreadOfOurs:
    """The text of a warning that does not hold: from 3.12 on Python warns of a fork beside other threads, and the only
    other one may be hallway's, which holds no lock that the child could wait for. It is no thread of Python's."""

    def match(self, text):
        import os

        try:
            return "is multi-threaded, use of " in text and len(os.listdir("/proc/self/task")) <= 2
        except OSError:
            return False


def spare_false_warnings():
    import warnings

    try:
        # The public functions take a pattern only.
        warnings._add_filter("ignore", OneThreadOfOurs(), DeprecationWarning, None, 0, append=False)
    except (AttributeError, TypeError):
        pass


def note_sources(path):
    """Tells the master which files the application is made of, each as it was when it was read: for who works on it
    (--reload). Returns what notes a further one."""
    import os
    from importlib.machinery import SourceFileLoader

    library = os.path.dirname(os.__file__) + os.sep
    out = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC)
    # A file that changes within a second may be as long as before, and what was compiled of it would be taken for new.
    sys.dont_write_bytecode = True
    directories = {os.getcwd()}

    def note(name):
        name = os.path.abspath(name)
        is_installed = "-packages" + os.sep in name
        if "\n" in name or (name.startswith(library) and not is_installed):
            return
        if not is_installed:
            directories.add(os.path.dirname(name))
        try:
            seen = os.stat(name)
            line = f"{seen.st_mtime_ns} {seen.st_size} {name}\n"
        except OSError:
            line = f"- - {name}\n"
        try:
            os.write(out, os.fsencode(line))
        except OSError:
            pass  # Then this one is not looked at.

    def note_templates():
        left = 5000
        for directory in sorted(directories):
            for name in ("templates", "jinja2"):
                for place, _, files in os.walk(os.path.join(directory, name)):
                    for file in files[: max(left, 0)]:
                        note(os.path.join(place, file))
                    left -= len(files)

    path_stats = SourceFileLoader.path_stats

    def noting_path_stats(self, path):
        note(path)
        return path_stats(self, path)

    SourceFileLoader.path_stats = noting_path_stats
    return note, note_templates


def note_where_it_may_come(error, note):
    """Notes where a module that is missing may be put."""
    import os

    package, _, name = (error.name or "").rpartition(".")
    places = [os.path.join(os.getcwd(), *package.split("."))] if package else []
    for place in [*places, *sys.path]:
        if os.path.isdir(place):
            note(os.path.join(place, name))
            note(os.path.join(place, f"{name}.py"))
            note(os.path.join(place, name, "__init__.py"))


def settle():
    """What was loaded stays: the garbage collector need not look through it again and again."""
    import gc

    gc.collect()
    gc.freeze()


def share_the_core():
    """A worker that is woken does not interrupt the edge on a core that both share (see spawn.rs). Threads
    and processes that the application starts are as if this had not been."""
    import os

    try:
        os.sched_setscheduler(0, os.SCHED_BATCH | os.SCHED_RESET_ON_FORK, os.sched_param(0))
    except (AttributeError, OSError):
        pass  # Where it is forbidden the worker runs as any other process.


def main():
    global BY_FLAGS
    target, title, kind = sys.argv[1:4]
    kind, _, written = kind.partition(" ")
    BY_FLAGS = written != "key"
    max_requests, threads, has_siblings, extension = map(int, (*sys.argv[4:7], sys.argv[8]))
    orders, reports = map(int, sys.argv[7].split(","))
    set_title(title)
    if sys.version_info < (3, 11):
        say(f"{sys.executable} is Python {sys.version.split()[0]}; hallway needs 3.11 or newer")
        return BOOT_FAILED

    import faulthandler
    import os
    import signal
    import traceback
    from _thread import get_ident

    os.set_inheritable(orders, False)
    os.set_inheritable(reports, False)
    native = load_native(extension)
    os.close(extension)

    # Only the master ends a worker: a signal to all processes at once (as systemd sends it) must not
    # cut a request in flight. A handler, not SIG_IGN: programs the application starts inherit that.
    def leave_it_to_the_master(number, frame):
        pass

    usual = {signal.SIGTERM: signal.SIG_DFL, signal.SIGINT: signal.default_int_handler}
    for number in usual:
        signal.signal(number, leave_it_to_the_master)

    # A child is an ordinary process. What is sent to it before it has its own handlers waits for those.
    masks = {}

    def before_fork():
        masks[get_ident()] = signal.pthread_sigmask(signal.SIG_BLOCK, usual)

    def after_in_parent():
        signal.pthread_sigmask(signal.SIG_SETMASK, masks.pop(get_ident(), ()))

    def after_in_child():
        native.note_fork()
        for number, handler in usual.items():
            if signal.getsignal(number) is leave_it_to_the_master:
                signal.signal(number, handler)
        after_in_parent()

    os.register_at_fork(before=before_fork, after_in_parent=after_in_parent, after_in_child=after_in_child)
    spare_false_warnings()
    # The master asks for the stacks of a worker that does not answer in time.
    faulthandler.register(signal.SIGQUIT, all_threads=True, chain=False)
    for stream in (sys.stdout, sys.stderr):
        if stream is not None and hasattr(stream, "reconfigure"):
            stream.reconfigure(line_buffering=True)
    sources = os.environ.pop("HALLWAY_SOURCES", None)
    note, note_templates = note_sources(sources) if sources else (None, None)
    sys.argv = ["hallway"]
    if sys.path and sys.path[0] == "":
        sys.path.pop(0)
    sys.path.insert(0, os.getcwd())

    try:
        application = load_application(target)
        if kind == "factory":
            try:
                application = application()
            except TypeError as error:
                if error.__traceback__.tb_next is None:  # It was not even begun: its arguments do not fit.
                    raise NotThere(
                        f"{named('factory')} {target}: it cannot be called without arguments ({error}); "
                        f"leave {named('factory')} out if it is the application itself"
                    ) from None
                raise
            if not callable(application):
                raise NotThere(f"the factory '{target}' returned what is not callable: {application!r}")
        check_takes_requests(target, application)
        check_threads(threads)
        if note_templates:
            note_templates()
    except NotThere as error:
        say(str(error))
        return LOAD_FAILED
    except (Exception, SystemExit) as error:
        if note and isinstance(error, ModuleNotFoundError):
            note_where_it_may_come(error, note)
        module = target.partition(":")[0]
        if isinstance(error, ModuleNotFoundError) and error.name and (module + ".").startswith(error.name + "."):
            if not os.access(".", os.R_OK | os.X_OK):
                say(f"{os.getcwd()} may not be read by the user with number {os.getuid()}, as whom this app runs")
                return LOAD_FAILED
            say(f"there is no module '{error.name}' in {os.getcwd()}, nor where {sys.executable} looks; is {named('chdir')} right?")
            return LOAD_FAILED
        # The first frames are this file and importlib: of no use to who wrote the application.
        frames = error.__traceback__
        while frames is not None and is_ours(frames.tb_frame.f_code.co_filename):
            frames = frames.tb_next
        # In one write, so that those of several workers do not mix.
        sys.stderr.write("".join(traceback.format_exception(type(error), error, frames)))
        return LOAD_FAILED
    settle()
    share_the_core()
    return native.serve(application, (orders, reports), max_requests, (threads, bool(has_siblings)))


def is_ours(file_name):
    return file_name in ("<string>", "<hallway>") or "importlib" in file_name


sys.exit(main())
