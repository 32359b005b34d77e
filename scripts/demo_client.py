"""A Home Assistant as its own app sees it: what the demo asks of it, all of it public calls."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from http import HTTPStatus
from typing import Any

from aiohttp import ClientConnectionError, ClientResponseError, ClientSession


class DemoError(Exception):
    """Something that a person has to settle; the text says how."""


def is_filled(fields: list[dict[str, Any]], section: str) -> bool:
    """Return whether a field is in a section of a form."""
    return any(
        field.get("description", {}).get("suggested_value") is not None
        for part in fields
        if part["name"] == section
        for field in part["schema"]
    )


class Home:
    """A web server and a web socket."""

    def __init__(self, http: ClientSession, url: str) -> None:
        """Remember where it is."""
        self.http = http
        self.url = url
        self.tokens: dict[str, Any] = {}

    @property
    def _headers(self) -> dict[str, str]:
        token = self.tokens.get("access_token")
        return {"Authorization": f"Bearer {token}"} if token else {}

    async def get(self, path: str) -> Any:
        """Read something."""
        async with self.http.get(self.url + path, headers=self._headers) as answer:
            answer.raise_for_status()
            return await answer.json(content_type=None)

    async def post(self, path: str, values: Mapping[str, Any]) -> Any:
        """Have something done."""
        url = self.url + path
        async with self.http.post(url, json=values, headers=self._headers) as answer:
            answer.raise_for_status()
            return await answer.json()

    async def delete(self, path: str) -> None:
        """Have something ended."""
        async with self.http.delete(self.url + path, headers=self._headers) as answer:
            answer.raise_for_status()

    async def call(self, command: str, **values: Any) -> Any:
        """Have something done that only the web socket can do."""
        async with self.http.ws_connect(f"{self.url}/api/websocket") as ws:
            await ws.receive_json()
            token = self.tokens["access_token"]
            await ws.send_json({"type": "auth", "access_token": token})
            await ws.receive_json()
            await ws.send_json({"id": 1, "type": command, **values})
            answer = await ws.receive_json()
        if not answer["success"]:
            reason = answer["error"]["message"]
            raise DemoError(f"Home Assistant refused {command}: {reason}")
        return answer["result"]

    async def answers(self) -> None:
        """Wait until the web server is there."""
        while True:
            with suppress(ClientConnectionError):
                await self.get("/manifest.json")
                return
            await asyncio.sleep(0.1)

    async def runs(self) -> None:
        """Wait until all that is configured has started."""
        while (await self.get("/api/config"))["state"] != "RUNNING":
            await asyncio.sleep(0.1)

    @asynccontextmanager
    async def logged_in(self, username: str, password: str) -> AsyncIterator[None]:
        """Log in; the first time ever, this makes the user."""
        client = {"client_id": f"{self.url}/"}
        login = {"username": username, "password": password, **client}
        user = {"name": username.capitalize(), "language": "en", **login}
        try:
            code = (await self.post("/api/onboarding/users", user))["auth_code"]
        except ClientResponseError as error:
            if error.status not in (HTTPStatus.FORBIDDEN, HTTPStatus.NOT_FOUND):
                raise
            flow = {"handler": ["homeassistant", None], "redirect_uri": self.url}
            flow_id = (await self.post("/auth/login_flow", flow | client))["flow_id"]
            answer = await self.post(f"/auth/login_flow/{flow_id}", login)
            if answer["type"] != "create_entry":
                raise DemoError(
                    "The login was changed. Start over with --fresh."
                ) from None
            code = answer["result"]

        form = {"grant_type": "authorization_code", "code": code, **client}
        async with self.http.post(f"{self.url}/auth/token", data=form) as response:
            self.tokens = await response.json()
        yield
        form = {"token": self.tokens["refresh_token"]}
        async with self.http.post(f"{self.url}/auth/revoke", data=form):
            self.tokens = {}

    async def add_miner(
        self, host: str, port: int, v3_port: int, passwords: Mapping[str, str]
    ) -> None:
        """Fill in the forms that a person fills in: the address, then a password."""
        flows = "/api/config/config_entries/flow"
        flow = await self.post(flows, {"handler": "whatsminer"})
        step = f"{flows}/{flow['flow_id']}"
        if flow["type"] == "menu":  # there is a miner already
            await self.post(step, {"next_step_id": "miner"})
        form = {"host": host, "port": port, "v3_port": v3_port}
        result = await self.post(step, form)
        if result["type"] == "form" and not result["errors"]:
            asked = {field["name"] for field in result["data_schema"]}
            form = {name: passwords[name] for name in asked & passwords.keys()}
            result = await self.post(step, form)
        if (
            result["type"] == "create_entry"
            or result.get("reason") == "already_configured"
        ):
            return
        why = result.get("errors") or result.get("reason")
        raise DemoError(f"Home Assistant did not take the miner at port {port}: {why}")

    async def set_thermostat(
        self, title: str, prices: Mapping[str, str], thermostat: Mapping[str, str]
    ) -> bool:
        """Let a miner heat, unless its thermostat was set up already; return whether it was not."""
        flows = "/api/config/config_entries/options/flow"
        entries = await self.get("/api/config/config_entries/entry?domain=whatsminer")
        [handler] = [one["entry_id"] for one in entries if one["title"] == title]
        flow = await self.post(flows, {"handler": handler})
        step = f"{flows}/{flow['flow_id']}"
        if is_filled(flow["data_schema"], "thermostat"):
            await self.delete(step)
            return False
        restarts = {"restarts_allowed": True}
        form = {"economics": prices, "thermostat": thermostat, "power_target": restarts}
        await self.post(step, form)
        return True

    async def set_prices(
        self, prices: Mapping[str, str], plan: Mapping[str, Any] | None = None
    ) -> None:
        """Fill in the options for cost and revenue, and for a plan, where none are set."""
        flows = "/api/config/config_entries/options/flow"
        entries = await self.get("/api/config/config_entries/entry?domain=whatsminer")
        # Open all forms first: once one miner has prices, the form of the next one suggests them.
        forms = [
            await self.post(flows, {"handler": entry["entry_id"]}) for entry in entries
        ]
        for flow in forms:
            step = f"{flows}/{flow['flow_id']}"
            if flow["step_id"] == "group":
                await self.delete(step)
            elif not is_filled(flow["data_schema"], "economics"):
                form = {"economics": prices, "power_target": {"restarts_allowed": True}}
                form |= {"plan": plan} if plan else {}
                await self.post(step, form)
            else:
                await self.delete(step)

    async def add_group(self, name: str) -> None:
        """Make one group of all miners, where there is none."""
        entries = await self.get("/api/config/config_entries/entry?domain=whatsminer")
        if any(entry["title"] == name for entry in entries):
            return
        flows = "/api/config/config_entries/flow"
        flow = await self.post(flows, {"handler": "whatsminer"})
        step = f"{flows}/{flow['flow_id']}"
        await self.post(step, {"next_step_id": "group"})
        members = [entry["entry_id"] for entry in entries]
        result = await self.post(step, {"name": name, "members": members})
        if result["type"] != "create_entry":
            raise DemoError(f"Home Assistant did not take the group: {result}")

    async def miners(self) -> list[dict[str, Any]]:
        """List the devices of the integration."""
        entries = await self.get("/api/config/config_entries/entry?domain=whatsminer")
        ours = {entry["entry_id"] for entry in entries}
        devices = await self.call("config/device_registry/list")
        return [device for device in devices if ours & {*device["config_entries"]}]

    async def furnish(self, area: Mapping[str, str], dashboard: str) -> None:
        """The first time: put the miners in their room. Always: the dashboard comes first."""
        areas = await self.call("config/area_registry/list")
        if not any(there["name"] == area["name"] for there in areas):
            room = await self.call("config/area_registry/create", **area)
            for miner in await self.miners():
                place = {"device_id": miner["id"], "area_id": room["area_id"]}
                await self.call("config/device_registry/update", **place)
        panel = {"default_panel": dashboard}
        await self.call("frontend/set_system_data", key="core", value=panel)

    async def missing(self, entities: set[str], patience: float = 30) -> set[str]:
        """Return which of these are still missing after a while."""
        missing = entities
        with suppress(TimeoutError):
            async with asyncio.timeout(patience):
                while missing:
                    states = await self.get("/api/states")
                    missing = entities - {state["entity_id"] for state in states}
                    await asyncio.sleep(0.2 if missing else 0)
        return missing
