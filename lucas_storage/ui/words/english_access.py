"""Words about access keys in English."""

from __future__ import annotations

from typing import Final

ENGLISH_ACCESS: Final = {
    "access.elsewhere": (
        "Access keys are shown to who may do everything there: with an access key that allows it, at a server "
        "with HTTP, or on its machine as the user of its data directory."
    ),
    "access.none": "There are no access keys: a server that is not private is open to every user of its machine.",
    "access.first": "The first one is made with 'lucas-storage keys add', where the server has its data.",
    "access.how": "A change holds at once, at every worker of the server.",
    "access.key": "Key",
    "access.state": "State",
    "access.made": "Made",
    "access.changed": "Changed",
    "access.allows": "Allows",
    "access.comment": "Comment",
    "access.enabled": "enabled",
    "access.disabled": "disabled",
    "access.former": "Former secret works until",
    "access.own": "This is the key that this page uses.",
    "access.and": ", ",
    "access.all_buckets": "all buckets",
    "access.buckets": "buckets named {glob}",
    "access.prefix": ", where keys begin with {prefix}",
    "access.sentence": "To {actions} in {buckets}",
    "access.new": "New key",
    "access.may": "May",
    "access.in_buckets": "In buckets named",
    "access.below": "Where keys begin with",
    "access.add": "Make the key",
    "access.all_of_it": "All six in buckets named * is everything, access keys too.",
    "access.rotate": "Another secret",
    "access.rotate_does": (
        "The key gets a new secret, shown once. The one that it has works for the time chosen here, and then "
        "ends by itself; of a disabled key it ends at once."
    ),
    "access.grace": "The former one works for",
    "access.at_once": "not at all",
    "access.hours": "{count} h",
    "access.days": "{count} d",
    "access.disable": "Disable",
    "access.disable_does": "Every request with this key is refused from now on, and what is under way ends.",
    "access.enable": "Enable",
    "access.enable_does": "Requests with this key are accepted again.",
    "access.remove": "Remove",
    "access.remove_does": "The key is gone for good. Another one can be made, with another id.",
    "access.secret": "The secret of {key}",
    "access.once": "It is shown this once, and kept nowhere. Keep it now.",
    "access.variables": "Variables for programs",
    "access.exposed": "It came from another machine without TLS, so whoever is on the way may have it.",
    "access.back": "All keys",
    "access.refused": "Not done",
    "access.stale": "Done already, or too old",
    "access.stale_why": (
        "Each form is sent once. If this was sent before, it has been done, and a secret is not shown again."
    ),
    "access.not_here": "There is no access key of this id.",
    "action.read": "read objects",
    "action.list": "list keys",
    "action.write": "write objects",
    "action.delete": "delete objects",
    "action.presign": "make URLs for others",
    "action.admin": "make and remove buckets",
}
