"""In:     -
Out:    Flask-Admin over a table of people in SQLite, as its own documents have it.
Actors: none.
Never:  does it know of hallway.
"""

from flask import Flask
from flask_admin import Admin
from flask_admin.contrib.fileadmin import FileAdmin
from flask_admin.contrib.sqla import ModelView
from flask_sqlalchemy import SQLAlchemy

app = Flask(__name__)
app.config.update(SECRET_KEY="a story", SQLALCHEMY_DATABASE_URI="sqlite:///people.db")
db = SQLAlchemy(app)


class Person(db.Model):
    id = db.Column(db.Integer, primary_key=True)
    name = db.Column(db.String(80), nullable=False)
    age = db.Column(db.Integer)


with app.app_context():
    db.create_all()

admin = Admin(app, name="people")
admin.add_view(ModelView(Person, db))
admin.add_view(FileAdmin("uploads", "/uploads/", name="Files"))
