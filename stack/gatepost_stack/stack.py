"""One private stack: its parts, the order in which they start, and the way back.

``Stack`` is what ``script/server``, the integration tests and the benchmarks share. Each
part that was started is stopped again, in reverse order, also when a later one could not
start.
"""

from __future__ import annotations

import socket
import sys
from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any

from gatepost_core import settings as core_settings
from gatepost_core.postfix import Parameter, Service
from gatepost_core.serving.listen import UnixAddress, bind
from gatepost_stack import certificate, layout, provision
from gatepost_stack.daemons import Daemon, Supervisor
from gatepost_stack.instance import HOST, Postfix, end_left_over
from gatepost_stack.process import StackError
from gatepost_stack.provision import Provision, Value
from gatepost_stack.sink import RETURN

HOSTNAME = "mail.example.test"
# The roles that the ports of a private stack play; the names are those of core's services.
SERVICES = ("smtp", "submission", "submissions")
USUAL_PORTS = (2525, 2587, 2465)


class Stack:
    """Postfix, the daemons and the sink. Use as a context manager.

    ``ports`` are those of port 25's, 587's and 465's role, in this order; None takes free ones.
    ``extra`` main.cf parameters and ``tables`` of settings win over the stack's own. ``at_end`` gets the
    directory of log files when everything has stopped, before it may be removed. ``sink_options`` are
    words for the sink's command line. ``others`` are services that are not Gatepost's, each on
    the port of its name. ``tracker``: the port to which links then lead (0: a free one); None: it does not
    run, and links lead to a name that nobody answers. ``dashboard``: the port of API and pages, likewise.
    """

    def __init__(  # noqa: PLR0913 - each with a name
        self,
        var: Path,
        ports: tuple[int, int, int] | None = None,
        *,
        milter: bool = True,
        extra: Iterable[Parameter] = (),
        tables: Mapping[str, Mapping[str, Any]] | None = None,
        at_end: Callable[[Path], None] | None = None,
        sink_options: Iterable[str] = (),
        others: Iterable[Service] = (),
        tracker: int | None = None,
        dashboard: int | None = None,
    ) -> None:
        self._var = var
        self.ports = ports or free_ports()
        self._milter = milter
        self._extra = list(extra)
        self._tables = tables or {}
        self._at_end = at_end
        self._sink_options = list(sink_options)
        self._others = list(others)
        self._tracker_port = tracker
        self._tracker: socket.socket | None = None
        self.tracker_url = ""
        self._dashboard_port = dashboard
        self._dashboard: socket.socket | None = None
        self.dashboard_url = ""
        self._exit = ExitStack()
        self.layout: layout.Layout
        self.settings: core_settings.Settings
        self.provision: Provision
        self.supervisor: Supervisor
        self.postfix: Postfix

    def __enter__(self) -> Stack:
        try:
            self._start()
        except BaseException:
            self._exit.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._exit.close()

    def _start(self) -> None:
        end_left_over(self._var)
        self.layout = layout.plan(self._var)
        self._exit.callback(self.layout.close)
        if self._at_end:
            self._exit.callback(self._at_end, self.layout.logs)
        self.layout.prepare()
        certificate.make(self.layout.tls, HOSTNAME)
        self.layout.ca_file.write_bytes((self.layout.tls / "ca.pem").read_bytes())
        click_host = self._open_tracker()
        self._open_dashboard()
        self.settings = self._write_settings()
        self.provision = Provision(self.settings, click_host)
        self.provision.initialise()
        sink = self._exit.enter_context(socket.create_server((HOST, 0), backlog=1024))
        self.supervisor = Supervisor(self._daemons(sink), self.layout.notices)
        self._exit.callback(self.supervisor.stop)
        self.supervisor.start()
        services: dict[str, int] = dict(zip(SERVICES, self.ports, strict=True))
        self.postfix = Postfix(self.layout, services, sink.getsockname()[1])
        domains, own = self.provision.bounce_domains(), self._own_parameters()
        self.postfix.configure(self.settings, domains, own, self._others)
        self._exit.callback(self.postfix.stop)
        self.postfix.start()

    def _open_tracker(self) -> str:
        """Have the tracker's socket, if it is to run; return host and port of links then."""
        if self._tracker_port is None:
            return ""
        listener = socket.create_server((HOST, self._tracker_port), backlog=1024)
        self._tracker = self._exit.enter_context(listener)
        host = f"{HOST}:{listener.getsockname()[1]}"
        self.tracker_url = f"http://{host}/"
        return host

    def _open_dashboard(self) -> None:
        if self._dashboard_port is not None:
            listener = socket.create_server((HOST, self._dashboard_port), backlog=1024)
            self._dashboard = self._exit.enter_context(listener)
            self.dashboard_url = f"http://{HOST}:{listener.getsockname()[1]}/"

    def _write_settings(self) -> core_settings.Settings:
        place = self.layout
        tables: dict[str, dict[str, Value]] = {
            "store": {"url": f"sqlite:///{place.store}/directory.db"},
            "keys": {"directory": str(place.store / "keys")},
            "sasl": {
                "listen": f"unix:{place.sockets}/sasl",
                "logins_file": str(place.store / "logins"),
            },
            "policy": {"listen": f"unix:{place.sockets}/policy", "bounce_ports": [self.ports[0]]},
            "milter": {"listen": f"unix:{place.sockets}/milter"},
            "bounces": {
                "listen": f"unix:{place.sockets}/bounces",
                "directory": str(place.store / "bounces"),
            },
            "events": {"listen": f"unix:{place.sockets}/events", "log": str(place.maillog)},
            "spool": {"directory": str(place.store / "spool")},
            "hold": {"listen": f"unix:{place.sockets}/hold"},
            "limits": {"counters": str(place.store / "counters" / "counters.db")},
            "images": {"directory": str(place.store / "images")},
            "postfix": {
                "config_directory": str(place.postfix),
                "scope": "host",
                "queue_directory": str(place.queue),
                "hostname": HOSTNAME,
                "tls_certificate_file": str(place.tls / "server.pem"),
                "tls_key_file": str(place.tls / "server.key"),
            },
            # The daemons are this process' own: no unit of systemd's starts them.
            "doctor": {"skip": ["daemons", *([] if self.tracker_url else ["tracker-socket"])]},
        }
        if self.tracker_url:
            tables["tracker"] = {"listen": f"inet:{self.tracker_url.split('/')[2]}"}
            tables["tracking"] = {"click_scheme": "http"}
        address = self.dashboard_url.removeprefix("http://").rstrip("/")
        tables["dashboard"] = {"listen": f"inet:{address}" if address else ""}
        for section, values in self._tables.items():
            tables.setdefault(section, {}).update(values)
        provision.write_settings(place.settings_file, tables)
        return core_settings.load(place.settings_file, environ={})

    def _daemons(self, sink: socket.socket) -> list[Daemon]:
        place = self.layout
        back = f"{RETURN}{self.ports[0]}"
        module = ["gatepost_stack.sink", str(place.delivered), back, *self._sink_options]
        daemons = [self._daemon("sink", module, sink)]
        for name in ("events", "sasl", "policy", "bounces", *(["milter"] if self._milter else [])):
            group = "" if name == "events" else "postfix"  # Postfix has no business with that one
            listener = self._exit.enter_context(bind(UnixAddress(str(place.sockets / name)), group=group))
            daemons.append(self._daemon(name, self._module(name), listener))
        listener = self._exit.enter_context(bind(UnixAddress(str(place.sockets / "hold")), group=""))
        helper = ["gatepost_events.holding.helper", "--config-directory", str(place.postfix)]
        daemons.append(self._daemon("hold", helper, listener))
        if self._tracker is not None:
            daemons.append(self._daemon("tracker", self._module("tracker"), self._tracker))
        if self._dashboard is not None:
            daemons.append(self._daemon("dashboard", self._module("dashboard"), self._dashboard))
        return daemons

    def _module(self, name: str) -> list[str]:
        return [f"gatepost_{name}.main", "--config", str(self.layout.settings_file)]

    def _daemon(self, name: str, module: list[str], listener: socket.socket) -> Daemon:
        command = [sys.executable, "-P", "-m", *module]
        return Daemon(name, command, self.layout.logs / f"{name}.log", listener, last=name == "events")

    def _own_parameters(self) -> list[Parameter]:
        without = [] if self._milter else [Parameter("smtpd_milters", "", "baseline: no milter")]
        return [*without, *self._extra]


def free_ports() -> tuple[int, int, int]:
    """Return three ports on loopback that nobody listens on."""
    with ExitStack() as held:
        sockets = [held.enter_context(socket.create_server((HOST, 0))) for _ in range(3)]
        first, second, third = (one.getsockname()[1] for one in sockets)
    return first, second, third


def check_ports(ports: Iterable[int]) -> None:
    """Raise StackError, naming the port and what to do, when one of them is taken."""
    for port in ports:
        try:
            socket.create_server((HOST, port)).close()
        except OSError as error:
            raise StackError(
                f"port {port} on {HOST} cannot be used ({error.strerror}); end the program that has it "
                f"('ss -ltnp sport = :{port}' names it), or choose other ports with --port-base N"
            ) from error
