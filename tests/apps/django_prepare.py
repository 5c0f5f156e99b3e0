"""In:     an empty directory, in which it runs.
Out:    a Django site as `startproject` makes it, with one app whose model has a file, and a superuser.
Actors: Django's own commands.
Never:  is a setting changed that a beginner's site would not have.
"""

import os
import pathlib
import subprocess
import sys


def run(*command):
    subprocess.run([sys.executable, *command], check=True, stdout=subprocess.DEVNULL)


run("-m", "django", "startproject", "site_", ".")
run("manage.py", "startapp", "shop")
settings = pathlib.Path("site_/settings.py")
text = settings.read_text().replace("INSTALLED_APPS = [", "INSTALLED_APPS = [\n    'shop',")
text += "\nALLOWED_HOSTS = ['127.0.0.1']\nSTATIC_ROOT = BASE_DIR / 'static'\nMEDIA_ROOT = BASE_DIR / 'media'\nDEBUG = False\n"
settings.write_text(text)
pathlib.Path("shop/models.py").write_text(
    "from django.db import models\n\n\n"
    "class Room(models.Model):\n"
    "    name = models.CharField(max_length=80)\n"
    "    plan = models.FileField(upload_to='plans', blank=True)\n\n"
    "    def __str__(self):\n        return self.name\n"
)
pathlib.Path("shop/admin.py").write_text(
    "from django.contrib import admin\n\nfrom .models import Room\n\nadmin.site.register(Room)\n"
)
run("manage.py", "makemigrations", "shop")
run("manage.py", "migrate")
run("manage.py", "collectstatic", "--noinput")
os.environ["DJANGO_SUPERUSER_PASSWORD"] = "a story's own"
run("manage.py", "createsuperuser", "--noinput", "--username", "anna", "--email", "anna@example.com")
