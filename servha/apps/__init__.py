"""The application kit: which applications it knows. One file each; a new one is entered in APPLICATIONS."""

from __future__ import annotations

from typing import Final

from servha.apps.application import Application, Proposal
from servha.apps.mariadb import MariaDb
from servha.apps.nginx import Nginx
from servha.apps.oracle import Oracle
from servha.apps.postgresql import PostgreSql
from servha.apps.redis import Redis
from servha.apps.tomcat import Tomcat
from servha.apps.web_service import WebService

__all__ = ["APPLICATIONS", "Application", "Proposal"]

APPLICATIONS: Final[tuple[type[Application], ...]] = (
    PostgreSql,
    MariaDb,
    Oracle,
    Redis,
    Nginx,
    Tomcat,
    WebService,
)
