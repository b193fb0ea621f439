"""The bridge: drives cameras and keeps their frames safe until they are delivered."""
