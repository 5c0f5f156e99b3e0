"""The rooms a fresh Rent-o-Matic starts with. All of them are invented."""

from __future__ import annotations

from rentomatic.domain.room import Room, RoomStatus

_FREE = RoomStatus.AVAILABLE
_LET = RoomStatus.RENTED
_CLOSED = RoomStatus.MAINTENANCE

# code, title, city, m², € a night, latitude, longitude, status
#
# The page picks a room's picture by the first two bytes of its code. The codes
# below are random but for those, so that a balcony by the sea looks like one.
_ROOMS = (
    ("2e09cd2b-eaa7-4547-ae7c-fb90c721a02f",
     "Tiled attic above the tram line", "Lisbon", 18, 74, 38.7139, -9.1307, _FREE),
    ("96fc56c8-b97b-42cb-a995-436b3a3ac5dd",
     "Courtyard room with a lemon tree", "Lisbon", 22, 88, 38.7112, -9.1485, _FREE),
    ("c611bcb2-fe20-4f82-8978-f8e1fa587af5",
     "Small white room by the viewpoint", "Lisbon", 12, 52, 38.7198, -9.1321, _LET),
    ("41950523-83a8-4fe6-9ca6-ecba3ac1076f",
     "Riverside room with tall shutters", "Porto", 20, 69, 41.1408, -8.6132, _FREE),
    ("af7ac393-1406-4ba6-9fc9-89be8eaf9f48",
     "Granite house, second floor", "Porto", 26, 81, 41.1496, -8.6109, _LET),
    ("b01528de-0e9e-4a49-9d32-d7c9bfb4bb60",
     "Garden studio near the market", "Porto", 31, 95, 41.1512, -8.6054, _FREE),
    ("b34b1570-8032-46f0-8c19-603e4547b115",
     "Sunny balcony over the old port", "Málaga", 17, 63, 36.7178, -4.4162, _FREE),
    ("550be571-afd9-4f32-9c28-3c90ba35b63a",
     "Quiet back room with a ceiling fan", "Málaga", 13, 41, 36.7241, -4.4219, _CLOSED),
    ("4d7883b1-58c0-48e2-b861-59ef00522e6e",
     "Roof terrace studio", "Málaga", 34, 118, 36.7213, -4.4133, _FREE),
    ("3748ffb3-87a4-489f-be8f-752aa44786c5",
     "Red-brick room under the arcades", "Bologna", 19, 72, 44.4949, 11.3426, _FREE),
    ("399c7d05-f8b8-41d4-acfb-27f15f6da2f3",
     "Student room beside the library", "Bologna", 11, 38, 44.4968, 11.3517, _LET),
    ("1f4c6e8e-c3b8-4cf0-9edd-f9e06c49e64f",
     "High-ceilinged salon with frescoes", "Bologna", 42, 145, 44.4921, 11.3389, _FREE),
    ("d4d75823-c0e2-4bb3-8ca8-f64c3da08331",
     "Canal view with a reading corner", "Ghent", 21, 84, 51.0548, 3.7203, _FREE),
    ("3fca003a-4739-4ee9-ae93-0bcda0823dda",
     "Loft in a former weaving mill", "Ghent", 48, 132, 51.0601, 3.7318, _LET),
    ("064b1b01-bcc3-4341-b044-df3c944f886c",
     "Bright box room for one", "Ghent", 9, 34, 51.0467, 3.7289, _FREE),
    ("e9fd3856-5d25-433e-837b-2b90a403ed56",
     "Harbour cabin with a wood stove", "Aarhus", 16, 79, 56.1587, 10.2146, _FREE),
    ("b81ec45b-d7b9-4f6c-8ca8-52760665ed35",
     "Timbered room in the old quarter", "Aarhus", 23, 97, 56.1579, 10.1992, _CLOSED),
    ("065e1801-f6b6-4ad5-8119-36fc744d2257",
     "Corner room facing the beech woods", "Aarhus", 25, 102, 56.1318, 10.2071, _FREE),
    ("38c4a017-6332-4e39-b566-3f1007c936a0",
     "Vaulted cellar room, cool in summer", "Kraków", 24, 47, 50.0619, 19.9372, _FREE),
    ("b04f8af5-2c6e-45e0-9b68-d0b55ccdac25",
     "Tenement room with a tiled stove", "Kraków", 28, 55, 50.0503, 19.9461, _LET),
    ("b71ac521-9baf-4333-b029-9599835631b4",
     "Top floor with a view of the towers", "Kraków", 33, 76, 50.0637, 19.9405, _FREE),
    ("60f18662-00ab-4ae6-b72a-c4789a67d786",
     "Plane-tree room on the embankment", "Ljubljana", 18, 58, 46.0494, 14.5067, _FREE),
    ("51afa08a-ad71-46b4-a5bd-c91a39eb51a7",
     "Workshop studio with a north light", "Ljubljana", 39, 91, 46.0561, 14.5122, _CLOSED),
    ("de8c1df3-68c9-4844-ac37-f8f8eba5f62e",
     "Castle hill room with a window seat", "Ljubljana", 15, 66, 46.0488, 14.5093, _FREE),
)


def seed_rooms() -> list[Room]:
    """The same rooms with the same codes, every time."""
    return [Room(*row) for row in _ROOMS]
